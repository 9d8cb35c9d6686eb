"""The way out: the ASGI application that players and CDNs ask.

In: HTTP requests and presentations. Out: answers with the right headers. Never: ingest objects.
"""

from pypackager.origin.app import create_app
from pypackager.origin.serve import serve_origin

__all__ = ["create_app", "serve_origin"]
