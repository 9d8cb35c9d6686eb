"""Readers of media: bytes of a segment in, samples out, the same for every container. No reader knows a manifest or a URL."""
