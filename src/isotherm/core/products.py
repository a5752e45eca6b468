"""How large a matrix product may be before NumPy's library copies its factors and wakes its threads."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

_WITHOUT_THREADS, _WITHOUT_COPIES = 2**18, 1_000_000


@cache
def unpacked() -> bool:
    """Say whether NumPy makes small products without copying their factors: OpenBLAS on processors with AVX-512."""
    about: Any = np.show_config(mode="dicts")
    found = about.get("SIMD Extensions", {}).get("found", [])
    blas = about.get("Build Dependencies", {}).get("blas", {}).get("name", "")
    return "openblas" in blas and bool({"X86_V4", "AVX512_SKX"} & set(found))


@cache
def most_multiplications() -> int:
    """Return how many multiplications one product may have to be made on one thread, and as cheaply as can be.

    For products of few rows, which wait for threads and copies longer than they compute. Callers that have several
    such products share them among threads of their own.
    """
    return _WITHOUT_COPIES if unpacked() else _WITHOUT_THREADS
