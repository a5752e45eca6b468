"""Files of frames by independent writers: NumPy, SciPy, h5py, tifffile; and a plate that is flashed."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np


def plate(frames: int = 9, height: int = 6, width: int = 7, dtype: str = "float64") -> np.ndarray:
    """Return frames (T H W) that differ in each number: flashed in frame 2, cooling from there on."""
    since = np.maximum(np.arange(frames) - 1.5, 0)
    rise = np.where(since > 0, 3000 / np.sqrt(np.maximum(since, 0.5)), 0)
    numbers = 20_000 + np.arange(height * width).reshape(height, width) + rise[:, None, None]
    return np.round(numbers).astype(dtype) if np.dtype(dtype).kind in "iu" else (numbers / 66.7).astype(dtype)


def write_hdf5(path: Path, arrays: dict[str, np.ndarray], *, matlab: bool = False, **options: object) -> Path:
    """Write datasets (those with three axes with h5py's `options`); MATLAB 7.3 has a header and axes turned round."""
    with h5py.File(path, "w", userblock_size=512 if matlab else 0) as file:
        for name, array in arrays.items():
            data = array.T if matlab else array
            file.create_dataset(name, data=data, **(options if array.ndim == 3 else {}))
    if matlab:
        matlab_head(path)
    return path


def matlab_head(path: Path) -> None:
    """Write the begin of a file of MATLAB 7.3 into the user block of an HDF5 file."""
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: test".ljust(124) + b"\0\2IM")


def pythermondt(path: Path, counts: np.ndarray, table: np.ndarray, times_s: np.ndarray, heat: np.ndarray) -> Path:
    """Write counts (H W T) with the table and times, in the groups of pythermondt."""
    arrays = {
        "Data/Tdata": counts,
        "MetaData/LookUpTable": table,
        "MetaData/DomainValues": times_s,
        "MetaData/ExcitationSignal": heat,
        "GroundTruth/DefectMask": np.zeros(counts.shape[:2], np.uint8),
    }
    return write_hdf5(path, arrays, compression="gzip", chunks=(3, 4, 5))
