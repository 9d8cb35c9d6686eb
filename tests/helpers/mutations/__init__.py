"""Mistakes that are made in good recordings, each with the rule that is meant to find it."""
