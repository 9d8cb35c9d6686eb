"""Manifests and plans as pure functions of a presentation.

In: a presentation and a request. Out: published answers. Never: I/O, a clock, state that changes the meaning.
"""

from pypackager.packaging.publish import answer

__all__ = ["answer"]
