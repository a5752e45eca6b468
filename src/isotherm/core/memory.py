"""How the process keeps memory that it will need again at once."""

from __future__ import annotations

import ctypes
from contextlib import suppress

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 256 * 1024 * 1024
_LARGEST_FROM_HEAP = 32 * 1024 * 1024


def keep_freed_memory() -> None:
    """Ask the C library to keep up to 256 MiB of freed memory; does nothing where it cannot be asked (not glibc).

    A batch frees arrays of a few megabytes for each picture and needs them again for the next one. By default glibc
    gives such memory back, and the kernel clears every page anew: a fifth of the time of `isotherm hotspots`.
    """
    with suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        # Setting one of them switches off that glibc adapts the other by itself: both are set.
        mallopt(_MMAP_THRESHOLD, _LARGEST_FROM_HEAP)
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
