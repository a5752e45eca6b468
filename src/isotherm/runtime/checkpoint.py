"""State dictionaries that torch has written, read without torch and without unpickling.

Both layouts are known (``torch/serialization.py``). The legacy one is five pickles in a row (magic number, protocol
version, system, the dictionary of tensors, the keys of the storages) and then, for each key, the number of elements and
the elements. The other is a zip file, not compressed, with the dictionary in ``data.pkl`` and each storage in a file of
its own. The pickles are read by a small interpreter that knows only the instructions and the few names that such a
dictionary needs; it creates numbers, strings and containers, and calls nothing.
"""

from __future__ import annotations

import io
import math
import pickletools
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from isotherm.core.errors import ModelError

MAX_INSTRUCTIONS = 1_000_000
MAX_TENSOR_BYTES = 2 * 1024**3
"""Of all tensors together, which may share the elements of a storage."""

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
ZIP_SIGNATURE = b"PK\x03\x04"
_DTYPES: dict[str, np.dtype[Any]] = {
    "torch FloatStorage": np.dtype("<f4"),
    "torch LongStorage": np.dtype("<i8"),
    "torch HalfStorage": np.dtype("<f2"),
    "torch DoubleStorage": np.dtype("<f8"),
}
_ORDERED_DICT = "collections OrderedDict"
_REBUILD = ("torch._utils _rebuild_tensor", "torch._utils _rebuild_tensor_v2")
_PARAMETER = "torch._utils _rebuild_parameter"
_WRAPPERS = ("state_dict", "model")
"""Under these keys training scripts put the tensors beside other things."""


def read_state_dict(data: bytes) -> dict[str, np.ndarray]:
    """Read a dictionary of tensors from the bytes of a torch file.

    Returns
    -------
    dict
        Read-only float32, float16, float64 or int64 arrays by name.

    Raises
    ------
    ModelError
        The bytes are of another layout, damaged, or need an instruction or a name that is not allowed.
    """
    read = _read_zip if data.startswith(ZIP_SIGNATURE) else _read_legacy
    try:
        return read(data)
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        OverflowError,
        EOFError,
        NotImplementedError,
        RuntimeError,
        struct.error,
        zipfile.BadZipFile,
    ) as error:
        raise ModelError(f"the weights are damaged: {error}") from error


def _read_legacy(data: bytes) -> dict[str, np.ndarray]:
    stream = io.BytesIO(data)
    if _unpickle(stream) != MAGIC or _unpickle(stream) != PROTOCOL:
        raise ModelError("no torch file of the legacy layout")
    system, found, keys = _unpickle(stream), _unpickle(stream), _unpickle(stream)
    if system.get("little_endian") is not True:
        raise ModelError("the weights are not little-endian")
    tensors = _tensors(found)
    return _arrays(tensors, _read_storages(stream, keys, {item.storage.key: item.storage for item in tensors.values()}))


def _read_zip(data: bytes) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        roots = [name.removesuffix("data.pkl") for name in archive.namelist() if name.endswith("data.pkl")]
        if len(roots) != 1:
            raise ModelError("a zip file that is none of torch's")
        root = roots[0]
        if any(item.compress_type != zipfile.ZIP_STORED for item in archive.infolist()):
            raise ModelError("the weights are compressed, which torch never does")
        if f"{root}byteorder" in archive.namelist() and archive.read(f"{root}byteorder") != b"little":
            raise ModelError("the weights are not little-endian")
        tensors = _tensors(_unpickle(io.BytesIO(archive.read(f"{root}data.pkl"))))
        wanted = {item.storage.key: item.storage for item in tensors.values()}
        if sum(storage.count * storage.dtype.itemsize for storage in wanted.values()) > len(data):
            raise ValueError("more elements are declared than the file has")
        return _arrays(
            tensors, {key: _stored(archive.read(f"{root}data/{key}"), storage) for key, storage in wanted.items()}
        )


def _tensors(found: Any) -> dict[str, _Tensor]:
    """Return the tensors of a state dictionary, or of the one that a training script has put beside other things."""
    for key in _WRAPPERS:
        if isinstance(found.get(key), dict):
            found = found[key]
    strangers = [name for name, value in found.items() if not isinstance(value, _Tensor)]
    if strangers or not found:
        raise ModelError(f"no dictionary of tensors: {str(strangers[0])[:80] if strangers else 'it is empty'}")
    return {str(name): tensor for name, tensor in found.items()}


def _arrays(tensors: Mapping[str, _Tensor], storages: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    if sum(tensor.size for tensor in tensors.values()) > MAX_TENSOR_BYTES:
        raise ModelError(f"the tensors have more than {MAX_TENSOR_BYTES} bytes")
    return {name: tensor.array(storages) for name, tensor in tensors.items()}


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

    @property
    def size(self) -> int:
        """Return how many bytes its elements take."""
        return math.prod(self.shape) * self.storage.dtype.itemsize

    def array(self, storages: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the tensor's elements; numpy itself refuses a view that leaves the storage."""
        flat = storages[self.storage.key]
        if self.size > flat.nbytes:
            raise ValueError("a tensor has more elements than its storage")
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
        storages[key] = _stored(stream.read(count * storage.dtype.itemsize), storage)
    return storages


def _stored(data: bytes, storage: _Storage) -> np.ndarray:
    if len(data) != storage.count * storage.dtype.itemsize:
        raise ValueError(f"storage {storage.key} has {len(data)} bytes, not {storage.count} elements")
    return np.frombuffer(data, dtype=storage.dtype)


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
        if name not in (_ORDERED_DICT, _PARAMETER, *_REBUILD, *_DTYPES):
            raise ValueError(f"the name {name!r} is not allowed")
        self.push(_Global(name))

    def reduce(self) -> None:
        arguments, what = self.pop(), self.pop()
        if what == _Global(_ORDERED_DICT) and arguments == ():
            self.push({})
        elif what in [_Global(name) for name in _REBUILD]:
            storage, offset, shape, strides, *_ = arguments
            if not isinstance(storage, _Storage):
                raise TypeError("a tensor without a storage")
            self.push(_Tensor(storage, offset, shape, strides))
        elif what == _Global(_PARAMETER) and isinstance(arguments[0], _Tensor):
            self.push(arguments[0])
        else:
            raise ValueError("a call that is not allowed")

    def storage(self) -> None:
        # The legacy layout adds a view of the storage, which it has not used since 2017.
        kind, dtype, key, _, count, *view = self.pop()
        if kind != "storage" or view not in ([], [None]) or not isinstance(key, str) or not count >= 0:
            raise ValueError("a reference that is no plain storage")
        self.push(_Storage(key, _DTYPES[str(dtype.name)], count))


_INSTRUCTIONS: dict[str, Callable[[_Machine, Any], object]] = {
    "PROTO": lambda _machine, _argument: None,
    "MARK": lambda machine, _: machine.push(_MARK),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    **dict.fromkeys(
        ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE"),
        lambda machine, argument: machine.push(argument),
    ),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), lambda machine, argument: machine.put(argument)),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), lambda machine, argument: machine.push(machine.memo[argument])),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "TUPLE1": lambda machine, _: machine.push((machine.pop(),)),
    "TUPLE2": lambda machine, _: machine.push((machine.pop(), machine.pop())[::-1]),
    "TUPLE3": lambda machine, _: machine.push((machine.pop(), machine.pop(), machine.pop())[::-1]),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_to_mark())),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "SETITEM": lambda machine, _: machine.set_items([machine.pop(), machine.pop()][::-1]),
    "SETITEMS": lambda machine, _: machine.set_items(machine.pop_to_mark()),
    "APPEND": lambda machine, _: machine.append([machine.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.pop_to_mark()),
    "GLOBAL": lambda machine, argument: machine.look_up(argument),
    "REDUCE": lambda machine, _: machine.reduce(),
    "BINPERSID": lambda machine, _: machine.storage(),
    # The state of an ordered dictionary (torch's version notes) says nothing about the weights.
    "BUILD": lambda machine, _: machine.pop(),
}
