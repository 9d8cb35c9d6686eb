"""A live-streaming packager and origin daemon: encoders push in, players pull HLS, DASH, Smooth and HDS out."""

__version__ = "0.1.0"
