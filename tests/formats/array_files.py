"""Files of named arrays by independent writers: NumPy's NPZ, SciPy's MAT, h5py's HDF5 and MAT 7.3."""

from __future__ import annotations

import io

import h5py
import numpy as np
from scipy.io import savemat


def npz(**arrays: np.ndarray) -> bytes:
    """Return a compressed NPZ archive."""
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def mat5(variables: dict[str, object], *, compress: bool = True) -> bytes:
    """Return a MAT file of version 5 (7 where compressed)."""
    stream = io.BytesIO()
    savemat(stream, variables, do_compression=compress)
    return stream.getvalue()


def hdf5(arrays: dict[str, np.ndarray], *, user_block: bytes = b"", units: dict[str, str] | None = None, **options):
    """Return an HDF5 file; `options` are those of h5py's datasets (compression, chunks ...)."""
    stream = io.BytesIO()
    with h5py.File(stream, "w", userblock_size=len(user_block)) as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, **(options if array.ndim > 1 else {}))
            if units and name in units:
                file[name].attrs["units"] = units[name]
    return user_block + stream.getvalue()[len(user_block) :]


def mat73(arrays: dict[str, np.ndarray], **options: object) -> bytes:
    """Return a MAT file of version 7.3: MATLAB's header in front of HDF5, axes in the opposite order."""
    text = b"MATLAB 7.3 MAT-file, Platform: test".ljust(124) + b"\0\2IM"
    return hdf5({name: array.T for name, array in arrays.items()}, user_block=text.ljust(512, b"\0"), **options)
