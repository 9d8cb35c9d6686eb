"""Channels, programs, assets and endpoints: who exists and in which state."""
