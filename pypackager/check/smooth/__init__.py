"""Smooth Streaming ([MS-SSTR]): client manifests and fragments in, tracks and findings out."""
