"""How the process keeps memory that it will need again."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from contextlib import suppress

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MOST_ARENAS = -1, -3, -8
_KEPT_BYTES = 256 * 1024 * 1024
_LARGEST_FROM_HEAP = 32 * 1024 * 1024


def keep_freed_memory() -> None:
    """Ask the C library to keep up to 256 MiB of freed memory; does nothing where it cannot be asked (not glibc).

    A batch frees arrays of a few megabytes for each picture and needs them again for the next one. By default glibc
    gives such memory back, and the kernel clears every page anew: a fifth of the time of `isotherm hotspots`.
    """
    # Setting one of them switches off that glibc adapts the other by itself: both are set.
    _ask({_MMAP_THRESHOLD: _LARGEST_FROM_HEAP, _TRIM_THRESHOLD: _KEPT_BYTES})


def share_heaps() -> None:
    """Ask the C library to give the threads of this process two heaps in all; does nothing where it cannot be asked.

    By default glibc makes up to eight for each core, and what one thread frees is of no use to the others: a server
    that loads a new model now in this thread, now in that one, grows for hours before it has filled them all.
    """
    _ask({_MOST_ARENAS: 2})


def _ask(options: Mapping[int, int]) -> None:
    with suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        for option, value in options.items():
            mallopt(option, value)
