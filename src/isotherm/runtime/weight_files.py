"""Files with weights, told apart by their content: safetensors, torch's two layouts, and those of Keras.

No code in a file is run, and no more is read than a network of this kind can need.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors

from isotherm.core.errors import MissingExtraError, ModelError
from isotherm.runtime.checkpoint import read_state_dict
from isotherm.runtime.weight_sources import Named

MAX_FILE_BYTES = 1024**3
MAX_DEPTH, MAX_DATASETS = 6, 2000
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_PICKLE_SIGNATURE, _ZIP_SIGNATURE = b"\x80", b"PK\x03\x04"


def read_file(path: Path) -> bytes:
    """Return the bytes of a file with weights; raises ModelError where it is missing or too large."""
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise ModelError(f"{path} has {size} bytes; at most {MAX_FILE_BYTES} are read")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"the network weights {path} cannot be read: {error.strerror}") from error


def read_tensors(data: bytes, path: Path) -> Named:
    """Return the tensors of a file by the names they have in it.

    Raises
    ------
    ModelError
        The bytes are of no known layout, damaged, or would run code.
    MissingExtraError
        A file of Keras needs an extra that is not installed.
    """
    try:
        if data.startswith(HDF5_SIGNATURE):
            return read_keras(data)
        # A safetensors file begins with the length of its header, whose first byte may be that of a pickle.
        if data[8:9] != b"{" and data.startswith((_PICKLE_SIGNATURE, _ZIP_SIGNATURE)):
            return read_state_dict(data)
        return _read_safetensors(data)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def _read_safetensors(data: bytes) -> Named:
    if data[8:9] != b"{":
        raise ModelError("neither a safetensors file, nor a state dictionary of torch, nor weights of Keras (HDF5)")
    try:
        tensors: Named = load_tensors(data)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ModelError(f"a damaged safetensors file, or one with numbers of an unknown type: {error}") from error
    return tensors


def read_keras(data: bytes) -> Named:
    """Return the arrays of a weights file of Keras, each under the path of its dataset.

    Raises
    ------
    ModelError
        It is damaged, or refers to another file.
    MissingExtraError
        h5py is not installed.
    """
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise MissingExtraError("reading weights of Keras", "backbones") from error
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            items = dict(_datasets(h5py, file, "", 0))
            # Compressed, a small file may declare terabytes.
            if sum(item.nbytes for item in items.values()) > MAX_FILE_BYTES:
                raise ModelError(f"an HDF5 file whose arrays have more than {MAX_FILE_BYTES} bytes")
            return {path: item[()] for path, item in items.items()}
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise ModelError(f"a damaged HDF5 file: {error}") from error


def _datasets(h5py: Any, group: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    if depth > MAX_DEPTH or len(group) > MAX_DATASETS:
        raise ModelError("an HDF5 file with more groups than weights of a network have")
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ModelError(f"an HDF5 file that refers to another place: {path}{name}")
        item = group[name]
        if isinstance(item, h5py.Group):
            yield from _datasets(h5py, item, f"{path}{name}/", depth + 1)
        elif item.is_virtual or item.external:
            raise ModelError(f"an HDF5 file that refers to another file: {path}{name}")
        elif item.dtype.kind not in "fiu":
            raise ModelError(f"an HDF5 file with something that is no weights: {path}{name} ({item.dtype})")
        else:
            yield f"{path}{name}", item
