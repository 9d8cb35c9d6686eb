"""Manifests and plans as pure functions of a presentation.

In: a presentation and a request. Out: published answers, and what is asked for next. Never: I/O, a clock, state that changes the meaning.
"""

from pypackager.packaging.ahead import following, stream
from pypackager.packaging.download import movie
from pypackager.packaging.publish import answer

__all__ = ["answer", "following", "movie", "stream"]
