"""Web pages for people: the player first.

In: names of presentations. Out: pages and their files, as answers. Never: a listener, or a host other than our own.
"""

from pypackager.console.pages import Pages

__all__ = ["Pages"]
