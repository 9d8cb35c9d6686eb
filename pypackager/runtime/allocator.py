"""How the C library keeps memory that is free.

In: nothing. Out: settings of this process. Never: a limit.

Fragments and segments come and go by megabytes each second. glibc gives blocks of that size back to the kernel and asks for fresh ones,
and each fresh page costs a fault and a clearing: a fifth of all the CPU of a channel with viewers. Kept and used again they cost nothing.
What a replay of 25 hours has taken for a moment, which is as much again, is used by nobody: it is given back at once.
"""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Of mallopt(3)."""
_KEPT = 48 * 2**20
"""Bytes of free memory that the process may hold on to."""
_LARGEST = 32 * 2**20
"""Larger blocks are still asked for and given back one by one; glibc takes no higher value."""


def keep_memory() -> None:
    """Makes malloc keep blocks of a fragment's size, in one arena that all threads share; does nothing with another C library."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGEST)
        mallopt(_TRIM_THRESHOLD, _KEPT)
        mallopt(_ARENA_MAX, 1)


def give_back() -> None:
    """Gives the kernel what is free, behind work that took much for a moment; does nothing with another C library."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
