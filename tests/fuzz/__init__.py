"""Fuzz targets of the parsers that are written in Python: what reads URLs and credentials, and the judge."""
