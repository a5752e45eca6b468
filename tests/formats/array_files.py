"""Files of named arrays by independent writers: NumPy's NPZ, SciPy's MAT, h5py's HDF5 and MAT 7.3."""

from __future__ import annotations

import io

import numpy as np


def npz(**arrays: np.ndarray) -> bytes:
    """Return a compressed NPZ archive."""
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()
