"""Freed memory is kept, seen by the pages that the kernel has to hand out."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import numpy as np
from isotherm.core.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def use():
    for _ in range(50):
        parts = [np.ones(300_000) for _ in range(3)]
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="speaks to glibc")
def test_freed_arrays_are_used_again() -> None:
    def faults(how: str) -> int:
        run = subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True)
        return int(run.stdout)

    assert faults("keep") < faults("as usual") / 10


THREADS = """
import sys, threading
from ctypes import CDLL, c_void_p, c_size_t
from isotherm.core.memory import share_heaps
if sys.argv[1] == "share":
    share_heaps()
malloc = CDLL(None).malloc
malloc.restype, malloc.argtypes = c_void_p, [c_size_t]
together, heaps = threading.Barrier(12), set()
def use():
    # A heap of a thread starts at a multiple of 64 MiB; all threads live until each has its own.
    heaps.add(malloc(1000) >> 26)
    together.wait()
threads = [threading.Thread(target=use) for _ in range(12)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(heaps))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="speaks to glibc")
def test_threads_share_two_heaps() -> None:
    def heaps(how: str) -> int:
        run = subprocess.run([sys.executable, "-c", THREADS, how], capture_output=True, text=True, check=True)
        return int(run.stdout)

    assert heaps("as usual") > 2
    assert heaps("share") <= 2


def test_what_is_loaded_for_good_is_not_looked_through_for_garbage() -> None:
    script = (
        "import gc\nfrom isotherm.core.memory import loading_for_good\n"
        "with loading_for_good():\n    assert not gc.isenabled()\n    kept = [[place] for place in range(1000)]\n"
        "assert gc.isenabled()\nprint(gc.get_freeze_count(), any(each is kept for each in gc.get_objects()))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    frozen, seen = run.stdout.split()
    assert int(frozen) > 1000
    assert seen == "False"


def test_a_failure_to_load_leaves_the_collector_on() -> None:
    script = (
        "import gc\nfrom isotherm.core.memory import loading_for_good\n"
        "try:\n    with loading_for_good():\n        raise ImportError\nexcept ImportError:\n    print(gc.isenabled())"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "True"
