"""A model on disk: a folder with one JSON manifest and one or two more files, checked before it is believed.

The other files are a safetensors file of arrays, an ONNX model, or both. ``manifest.json`` holds what the caller says
plus ``format_version``, their sha256 and sizes, and the sha256 of itself (without that field), so that a single flipped
byte anywhere is noticed.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from isotherm.core.errors import ModelError, OutputError
from isotherm.core.files import make_folder, sha256

FORMAT_VERSION = 2
MANIFEST, ARRAYS, NETWORK = "manifest.json", "arrays.safetensors", "network.onnx"
FILES = (ARRAYS, NETWORK)
MAX_MANIFEST_BYTES = 64 * 1024 * 1024
MAX_ARRAY_BYTES = 2 * 1024**3


def write_bundle(folder: Path, *, manifest: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write a model folder so that it appears whole or not at all; an older model of that name is replaced.

    Raises
    ------
    OutputError
        The folder holds something that is no model, or cannot be written.
    """
    _write(folder, manifest, {ARRAYS: _packed(arrays)})


def write_network(folder: Path, *, manifest: Mapping[str, Any], network: bytes) -> None:
    """Write a model folder that holds an ONNX model, as `write_bundle` does."""
    _write(folder, manifest, {NETWORK: network})


def write_parts(
    folder: Path, *, manifest: Mapping[str, Any], arrays: Mapping[str, np.ndarray], network: bytes = b""
) -> None:
    """Write a model folder that holds arrays and, unless `network` is empty, an ONNX model, as `write_bundle` does."""
    _write(folder, manifest, {ARRAYS: _packed(arrays)} | ({NETWORK: network} if network else {}))


def _packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    return bytes(save_tensors({name: np.ascontiguousarray(array) for name, array in arrays.items()}))


def _write(folder: Path, manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    check_target(folder)
    for name, data in files.items():
        if len(data) > MAX_ARRAY_BYTES:
            raise OutputError(
                f"{name} of the model would have {len(data)} bytes; at most {MAX_ARRAY_BYTES} can be loaded"
            )
    listed = {name: {"sha256": sha256(data), "bytes": len(data)} for name, data in files.items()}
    whole = _signed({"format_version": 0, **manifest, "files": listed} | {"format_version": FORMAT_VERSION})
    make_folder(folder.parent)
    try:
        _place(folder, {**files, MANIFEST: _to_json(whole)})
    except OSError as error:
        raise OutputError(f"cannot write the model {folder}: {error.strerror}") from error


def check_target(folder: Path) -> None:
    """Raise OutputError where a model cannot or must not be written, so that long work is not begun in vain.

    It must not replace a file, nor a folder that holds something else than a model.
    """
    above = next(parent for parent in folder.absolute().parents if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise OutputError(f"cannot write the model {folder}: {above} is not a folder that can be written to")
    if not folder.is_dir():
        if folder.exists() or folder.is_symlink():
            raise OutputError(f"{folder} is not a folder")
        return
    strangers = _strangers(folder, FILES)
    if strangers:
        raise OutputError(f"{folder} holds {strangers[0]!r}, which is not part of a model; name a new or empty folder")
    if any(folder.iterdir()) and not _is_model(folder):
        raise OutputError(f"{folder} holds something that is no model; name a new or empty folder")


def _strangers(folder: Path, known: Collection[str]) -> list[str]:
    return sorted(item.name for item in folder.iterdir() if item.name not in (MANIFEST, *known))


def _is_model(folder: Path) -> bool:
    """Say whether a manifest of any version is there; a damaged model may be replaced too."""
    try:
        return b'"format_version"' in (folder / MANIFEST).read_bytes()[:MAX_MANIFEST_BYTES]
    except OSError:
        return False


def read_bundle(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the manifest and the arrays of a model folder.

    Raises
    ------
    ModelError
        A file is missing, altered, unexpected or too large, or was written by another version.
    """
    manifest, files = _read_whole(folder, {ARRAYS})
    return manifest, _unpacked(folder, files[ARRAYS])


def read_network(folder: Path) -> tuple[dict[str, Any], bytes]:
    """Return the manifest and the ONNX model of a model folder; raises ModelError as `read_bundle` does."""
    manifest, files = _read_whole(folder, {NETWORK})
    return manifest, files[NETWORK]


def read_parts(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray], bytes]:
    """Return the manifest, the arrays and the ONNX model (empty where there is none) of a model folder.

    Raises
    ------
    ModelError
        As `read_bundle` does.
    """
    manifest, files = _read_whole(folder, {ARRAYS}, {ARRAYS, NETWORK})
    return manifest, _unpacked(folder, files[ARRAYS]), files.get(NETWORK, b"")


def _unpacked(folder: Path, data: bytes) -> dict[str, np.ndarray]:
    try:
        arrays: dict[str, np.ndarray] = load_tensors(data)
    except SafetensorError as error:
        raise ModelError(f"{ARRAYS} is no safetensors file: {error}", folder) from error
    return arrays


def _read_whole(folder: Path, *kinds: set[str]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the manifest and the files of a folder that holds one of these sets of files."""
    manifest = _read_manifest(folder)
    listed = manifest.get("files")
    if not isinstance(listed, dict) or set(listed) not in kinds:
        raise ModelError(f"{MANIFEST} lists other files than {sorted(kinds[0])[0]}: a model of another kind", folder)
    if not all(isinstance(entry, dict) for entry in listed.values()):
        raise ModelError(f"{MANIFEST} does not say how large its files are", folder)
    strangers = _strangers(folder, listed)
    if strangers:
        raise ModelError(f"holds {strangers[0]!r}, which its manifest does not know", folder)
    return manifest, {name: _read_listed(folder, name, entry) for name, entry in listed.items()}


def _read_manifest(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise ModelError("there is no such folder", folder)
    data = _read(folder, MANIFEST, MAX_MANIFEST_BYTES)
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{MANIFEST} is no JSON: {error}", folder) from error
    if not isinstance(manifest, dict) or "format_version" not in manifest:
        raise ModelError(f"{MANIFEST} is not a model's manifest", folder)
    if manifest["format_version"] != FORMAT_VERSION:
        found = manifest["format_version"]
        raise ModelError(f"format version {found!r}; this isotherm reads version {FORMAT_VERSION}", folder)
    if _signed(manifest) != manifest:
        raise ModelError(f"{MANIFEST} has been altered (its sha256 does not match)", folder)
    return manifest


def _read_listed(folder: Path, name: str, entry: Mapping[str, Any]) -> bytes:
    data = _read(folder, name, MAX_ARRAY_BYTES, expected=entry.get("bytes"))
    if sha256(data) != entry.get("sha256"):
        raise ModelError(f"{name} has been altered (its sha256 does not match)", folder)
    return data


def _read(folder: Path, name: str, limit: int, *, expected: object = None) -> bytes:
    path = folder / name
    try:
        size = path.stat().st_size
        if size > limit:
            raise ModelError(f"{name} has {size} bytes; at most {limit} are read", folder)
        if expected is not None and size != expected:
            raise ModelError(f"{name} has {size} bytes where {expected} are expected", folder)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ModelError(f"{name} is missing", folder) from error
    except OSError as error:
        raise ModelError(f"{name} cannot be read: {error.strerror}", folder) from error


def _signed(manifest: Mapping[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in manifest.items() if name != "manifest_sha256"}
    return {**rest, "manifest_sha256": sha256(json.dumps(rest, sort_keys=True).encode())}


def _to_json(manifest: Mapping[str, Any]) -> bytes:
    return (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode()


def _place(folder: Path, files: Mapping[str, bytes]) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".isotherm-", ignore_cleanup_errors=True) as scratch:
        new, old = Path(scratch) / "new", Path(scratch) / "old"
        new.mkdir()
        for name, data in files.items():
            (new / name).write_bytes(data)
        if folder.exists():
            folder.rename(old)
        try:
            new.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
        shutil.rmtree(old, ignore_errors=True)
