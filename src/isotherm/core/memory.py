"""How the process keeps memory that it will need again, and what is never looked through for garbage."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

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


@contextmanager
def loading_for_good() -> Iterator[None]:
    """Keep Python's collector of cycles away from what is loaded in the block and stays as long as the process.

    Else it goes through all of that whenever the rest has grown by a quarter: in a server a quarter of a million
    objects, 0.2 s in which no thread answers anybody.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collecting:
            gc.enable()


def _ask(options: Mapping[int, int]) -> None:
    with suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        for option, value in options.items():
            mallopt(option, value)
