"""Where the weights of a backbone are: in a wheel, or in the user's cache of weights.

The cache is the folder ``backbones`` below ``$ISOTHERM_CACHE``, else ``$XDG_CACHE_HOME/isotherm``, else
``~/.cache/isotherm``. It holds safetensors files called ``<backbone>-<sha256>.safetensors``; the sha256 is that of the
tensors, so that the same weights have the same name whatever file they came in, and is checked when they are read.
Nothing is fetched here.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from safetensors.numpy import save as save_tensors

from isotherm.core.errors import IsothermError, MissingExtraError, ModelError
from isotherm.core.files import make_folder, sha256, write_whole
from isotherm.runtime.checkpoint import read_state_dict
from isotherm.runtime.layers import Tensors
from isotherm.runtime.weight_files import read_file, read_tensors
from isotherm.runtime.weight_sources import Files, WeightSource, Wheel

SUFFIX = ".safetensors"


@dataclass(frozen=True, eq=False)
class Weights:
    """The tensors of a backbone, and the sha256 they are known by."""

    tensors: Tensors
    digest: str


@dataclass(frozen=True)
class Added:
    """Weights that are now in the cache.

    Parameters
    ----------
    path, digest
        Their file and their sha256.
    left_out
        Tensors of the given file that are not part of the network.
    """

    path: Path
    digest: str
    left_out: tuple[str, ...]


def cache_folder() -> Path:
    """Return the folder of weights that were added or fetched; it need not exist."""
    own, shared = os.environ.get("ISOTHERM_CACHE"), os.environ.get("XDG_CACHE_HOME")
    if own:
        return Path(own) / "backbones"
    return (Path(shared) if shared else Path.home() / ".cache") / "isotherm" / "backbones"


def present(name: str, source: WeightSource) -> list[str]:
    """Return the sha256 of the weights of a backbone that are here, those that were added last first."""
    if isinstance(source, Wheel):
        return [source.sha256] if find_spec(source.package) else []
    found = [path for path in cache_folder().glob(f"{name}-*{SUFFIX}") if len(_digest_of(path)) == 64]
    return [_digest_of(path) for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)]


def _digest_of(path: Path) -> str:
    return path.name.removesuffix(SUFFIX).rpartition("-")[2]


def choose_weights(name: str, source: WeightSource, digest: str | None = None) -> str:
    """Return the sha256 of the weights of a backbone that are to be used, without reading them.

    Parameters
    ----------
    digest
        The one that it must be; None takes the weights that were added last.

    Raises
    ------
    ModelError
        They are not here; says how to get them.
    MissingExtraError
        They are part of an extra that is not installed.
    """
    here = present(name, source)
    if digest is not None and digest not in here and (here or isinstance(source, Files)):
        raise _others(name, digest, here)
    if not here:
        raise _absent(name, source)
    return digest or here[0]


def _absent(name: str, source: WeightSource) -> IsothermError:
    if isinstance(source, Files):
        return ModelError(f"the weights of the backbone {name!r} are not here; {how_to_get(name, source)}")
    if source.extra:
        return MissingExtraError(f"backbone {name!r}", source.extra)
    return ModelError(f"the package {source.package} with the network weights is not installed")


def load_weights(name: str, source: WeightSource, digest: str) -> Weights:
    """Return the weights of a backbone that `choose_weights` has found; raises ModelError where they are altered."""
    if isinstance(source, Wheel):
        return Weights(_wheel_tensors(source), source.sha256)
    return _cached(name, source, digest)


def _others(name: str, digest: str, here: list[str]) -> ModelError:
    known = ", ".join(f"{item[:12]}..." for item in here) or "none"
    return ModelError(
        f"this needs the weights {digest[:12]}... of the backbone {name!r}, and here are: {known}; "
        f"add the same weights (isotherm backbones add {name} FILE), or train again"
    )


def how_to_get(name: str, source: Files) -> str:
    """Return one line that says how the weights of a backbone get here."""
    add = f"isotherm backbones add {name} FILE"
    if source.download is None:
        return f"get a file from its publisher, then: {add}"
    return f"isotherm backbones fetch {name} (about {source.download.megabytes} MB), or with a file of them: {add}"


def _wheel_tensors(wheel: Wheel) -> Tensors:
    path = wheel_path(wheel)
    data = read_file(path)
    if sha256(data) != wheel.sha256:
        raise ModelError(f"the network weights {path} are not the expected ones; reinstall {wheel.package}==0.1.0")
    return read_state_dict(data)


def wheel_path(wheel: Wheel) -> Path:
    """Return the file of a package that is installed; none of its code is run."""
    spec = find_spec(wheel.package)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(f"the package {wheel.package} with the network weights is not installed")
    return Path(spec.submodule_search_locations[0]) / wheel.file


def _cached(name: str, source: Files, digest: str) -> Weights:
    path = cache_folder() / f"{name}-{digest}{SUFFIX}"
    tensors, _ = source.fitted(name, read_tensors(read_file(path), path))
    if digest_of(tensors) != digest:
        raise ModelError(f"the network weights {path} have been altered (their sha256 does not match); add them again")
    return Weights(tensors, digest)


def digest_of(tensors: Mapping[str, np.ndarray]) -> str:
    """Return the sha256 of tensors: of their names, types, shapes and bytes, in the order of their names."""
    state = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        state.update(f"{name} {tensor.dtype.str} {tensor.shape}\n".encode())
        state.update(np.ascontiguousarray(tensor).data)
    return state.hexdigest()


def add_weights(name: str, source: Files, path: Path) -> Added:
    """Check a file with weights, and keep them in the cache.

    Parameters
    ----------
    path
        A safetensors file, a state dictionary of torch, or a weights file of Keras, as the names in it tell.

    Raises
    ------
    ModelError
        It is of another network (says which tensors do not fit), damaged, too large, or would run code.
    MissingExtraError
        A file of Keras needs an extra that is not installed.
    OutputError
        The cache cannot be written.
    """
    tensors, left_out = source.fitted(name, read_tensors(read_file(path), path))
    digest = digest_of(tensors)
    target = make_folder(cache_folder()) / f"{name}-{digest}{SUFFIX}"
    write_whole(target, save_tensors(tensors))
    return Added(target, digest, left_out)
