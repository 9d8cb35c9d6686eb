"""Rules that are the same for all formats, written on `presentation` alone: media against manifest, tracks against each other."""
