"""The groups and datasets of an HDF5 file, walked within bounds and never twice through the same place.

The HDF5 library itself can be sent in circles by a damaged file, and its work cannot be stopped from outside: so files
are read here by hand. Layout as in The HDF Group's "HDF5 File Format Specification" (version 3), sections II to IV.
Read are files as h5py, MATLAB and most programs write them; of what HDF5 1.10 and later may write on demand, groups of
many members ("dense") and chunk indices other than a single chunk are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from isotherm.core.errors import FormatError
from isotherm.formats.cursor import Cursor
from isotherm.formats.hdf5_messages import (
    Filter,
    Sizes,
    Storage,
    dtype_of,
    fill_of,
    filters_of,
    refers,
    shape_of,
    storage_of,
    text_attribute,
)

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_PLACES = (0, 512, 1024, 2048)
_SPACE, _TYPE, _FILL, _LINK, _LAYOUT, _FILTERS, _ATTRIBUTE = 0x01, 0x03, 0x05, 0x06, 0x08, 0x0B, 0x0C
_LINK_INFO, _EXTERNAL, _CONTINUATION, _TABLE = 0x02, 0x07, 0x10, 0x11
_SHARED = 0x02
_MOST_OBJECTS = 10_000
_MOST_MEMBERS = 100_000
_MOST_MESSAGES, _MOST_MESSAGE_BYTES = 200_000, 1 << 26
_MOST_CHUNKS = 1_000_000
_DEEPEST = 16
_MOST_TEXT = 1 << 20


def starts_in(data: bytes) -> bool:
    """Say whether an HDF5 file begins in these bytes, behind a user block or at once."""
    return any(data[place : place + 8] == SIGNATURE for place in _PLACES)


@dataclass(frozen=True)
class Message:
    """One message of an object header: its type and its bytes, which begin at `place` in the file."""

    kind: int
    cursor: Cursor
    place: int


@dataclass(frozen=True, eq=False)
class Dataset:
    """A dataset of plain numbers by its path; its messages are read when they are asked for.

    Where it `refers` its numbers are places of other objects, counted from the file's address 0 (`referred`).
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    messages: tuple[Message, ...]
    file: Cursor
    sizes: Sizes
    refers: bool = False

    def _of(self, kind: int) -> Message | None:
        return next((message for message in self.messages if message.kind == kind), None)

    @cached_property
    def storage(self) -> Storage:
        """Where its numbers lie; raises FormatError where that is not in this file."""
        layout = self._of(_LAYOUT)
        if layout is None or self._of(_EXTERNAL) is not None:
            raise FormatError(f"HDF5: {self.name!r} lies in other files, which are not opened")
        return storage_of(layout.cursor, self.sizes, layout.place)

    @cached_property
    def filters(self) -> tuple[Filter, ...]:
        """The filters that a chunk went through, in order."""
        found = self._of(_FILTERS)
        return filters_of(found.cursor) if found else ()

    @property
    def fill(self) -> np.ndarray:
        """The number that stands where nothing was written."""
        found = self._of(_FILL)
        return fill_of(found.cursor, self.dtype) if found else np.zeros((), self.dtype)

    @property
    def unit(self) -> str:
        """The text of its attribute ``unit`` or ``units``; empty where there is none."""
        for message in self.messages:
            if message.kind == _ATTRIBUTE:
                try:
                    name, text = text_attribute(message.cursor, self.file, self.sizes)
                except FormatError:
                    continue
                if name.casefold() in ("unit", "units"):
                    return text
        return ""

    def chunks(self) -> Iterator[np.ndarray]:
        """Yield tables of chunks: fields ``size``, ``mask``, ``at`` (corner), ``place`` (in the file)."""
        storage, axes = self.storage, len(self.storage.chunk)
        if storage.place is None:
            return
        if storage.one is not None:
            size, mask = storage.one
            table = np.zeros(1, _record(self.sizes, axes))
            table["size"], table["mask"], table["place"] = size, mask, storage.place - self.sizes.base
            yield table
            return
        yield from _Walk(self.file, self.sizes).chunks(storage.place, axes, 0)


def _record(sizes: Sizes, axes: int) -> np.dtype:
    address = f"<u{sizes.address}"
    return np.dtype([("size", "<u4"), ("mask", "<u4"), ("at", "<u8", (axes + 1,)), ("place", address)])


def datasets(data: bytes) -> list[Dataset]:
    """Return the datasets of numbers in a file, in the order of its groups; links out of it are not followed.

    Raises
    ------
    FormatError
        No dataset can be reached because the file is damaged.
    """
    return datasets_in(Cursor(data, "<", "HDF5"))


def datasets_in(file: Cursor, *, skipped: str = "", references: bool = False) -> list[Dataset]:
    """Return the datasets of numbers in a file that need not be in memory; as `datasets`.

    Parameters
    ----------
    file
        The file.
    skipped
        A group of the root that is not entered.
    references
        Whether datasets of references are returned too.
    """
    sizes, root = _superblock(file)
    walk = _Walk(file, sizes, skipped)
    found = [dataset for dataset in walk.datasets(root, "", 0) if references or not dataset.refers]
    if not found and walk.errors:
        raise walk.errors[0]
    return found


def missing_bytes(file: Cursor) -> int:
    """Return how many bytes the file lacks to the end that its superblock tells; 0 where it is whole."""
    start, version, sizes = _superblock_head(file)
    # The end stands behind base and free space, or (version 2 and 3) behind base and extension: from the file's begin.
    end = start + {0: 24, 1: 28}.get(version, 12) + 2 * sizes.address
    return max(0, sizes.unsigned(file, end, sizes.address) - len(file))


def referred(dataset: Dataset, address: int) -> list[Dataset]:
    """Return the dataset that a reference of `dataset` points to, or those of a group; empty where it points nowhere.

    Raises
    ------
    FormatError
        What lies there is damaged.
    """
    walk = _Walk(dataset.file, dataset.sizes)
    found = list(walk.datasets(dataset.sizes.base + address, dataset.name, 0)) if address else []
    if walk.errors:
        raise walk.errors[0]
    return found


def group_texts(file: Cursor, group: str) -> dict[str, str]:
    """Return the attributes of a group of the root that are texts; empty where there is no such group or none in it.

    Raises
    ------
    FormatError
        The file is damaged.
    """
    sizes, root = _superblock(file)
    walk = _Walk(file, sizes)
    place = dict(walk._children(tuple(walk._messages(root)), 0)).get(group)
    messages = [] if place is None else [item for item in walk._messages(place) if item.kind == _ATTRIBUTE]
    return dict(text_attribute(message.cursor, file, sizes, most=_MOST_TEXT) for message in messages)


def _superblock(file: Cursor) -> tuple[Sizes, int]:
    """Return the sizes of the file, and where its root group lies."""
    start, version, sizes = _superblock_head(file)
    # Behind the sizes: base, free space, end, driver, then (version 0 and 1) name and place of the root group.
    place = start + {0: 24 + 5 * sizes.address, 1: 28 + 5 * sizes.address}.get(version, 12 + 3 * sizes.address)
    root = sizes.place(file, place)
    if root is None:
        raise file.error("has no root group", place)
    return sizes, root


def _superblock_head(file: Cursor) -> tuple[int, int, Sizes]:
    """Return where the superblock lies, its version, and the sizes in it."""
    start = next((place for place in _PLACES if file.data[place : place + 8] == SIGNATURE), None)
    if start is None:
        raise file.error("does not begin like one", 0)
    version = file.take(start + 8, 1)[0]
    address, length = file.take(start + (13 if version < 2 else 9), 2)
    if version > 3 or address not in (4, 8) or length not in (4, 8):
        raise file.error(f"superblock of version {version}, addresses of {address} bytes", start + 8)
    return start, version, Sizes(address, length, start)


class _Walk:
    """Goes through groups and trees; one budget for all, and no place twice."""

    def __init__(self, file: Cursor, sizes: Sizes, skipped: str = "") -> None:
        self.file, self.sizes, self.skipped = file, sizes, skipped
        self.seen: set[int] = set()
        self.errors: list[FormatError] = []
        self.counted = self.members = self.messages = self.message_bytes = 0

    def _enter(self, place: int, depth: int) -> None:
        if place in self.seen or len(self.seen) >= _MOST_OBJECTS or depth > _DEEPEST:
            raise self.file.error("groups or trees go in a circle, or are too many", place)
        self.seen.add(place)

    def datasets(self, place: int, path: str, depth: int) -> Iterator[Dataset]:
        """Yield the dataset whose header lies at `place`, or those of a group; what is damaged is noted and left."""
        try:
            if place in self.seen:
                return  # a second link to the same object
            self._enter(place, depth)
            messages = tuple(self._messages(place))
            kinds = {message.kind: message.cursor for message in messages}
            if _SPACE in kinds and _TYPE in kinds:
                points = refers(kinds[_TYPE])
                dtype = np.dtype("<u8") if points else dtype_of(kinds[_TYPE])
                if dtype is not None:
                    shape = shape_of(kinds[_SPACE], self.sizes)
                    yield Dataset(path, shape, dtype, messages, self.file, self.sizes, points)
                return
            children = list(self._children(messages, depth))
        except FormatError as error:
            self.errors.append(error)
            return
        for name, child in children:
            if path or name != self.skipped:
                yield from self.datasets(child, f"{path}/{name}".lstrip("/"), depth + 1)

    def _messages(self, place: int) -> Iterator[Message]:
        """Yield the messages of an object header of either version."""
        newer = self.file.take(place, 4) == b"OHDR"
        head, blocks = self._newer_header(place) if newer else self._older_header(place)
        while blocks:
            place, size = blocks.pop(0)
            end = place + min(size, len(self.file))
            while place + head <= end:
                kind, length, flags = self._message(place, newer)
                body = self.file.part(place + head, length, "HDF5: message")
                if kind == _CONTINUATION:
                    further = self.sizes.place(body, 0)
                    size = self.sizes.unsigned(body, self.sizes.address, self.sizes.length)
                    if further is not None:
                        # Blocks of the newer kind have a signature in front and a check sum behind.
                        blocks.append((further + 4, size - 8) if newer else (further, size))
                elif not flags & _SHARED:
                    yield Message(kind, body, place + head)
                place += head + length

    def _older_header(self, place: int) -> tuple[int, list[tuple[int, int]]]:
        """Return how long the head of a message is, and place and size of the first block of messages."""
        if self.file.take(place, 1)[0] != 1:
            raise self.file.error("no object header", place)
        return 8, [(place + 16, self.file.u32(place + 8))]

    def _newer_header(self, place: int) -> tuple[int, list[tuple[int, int]]]:
        flags = self.file.take(place + 5, 1)[0]
        start = place + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        return 6 if flags & 0x04 else 4, [(start + width, self.sizes.unsigned(self.file, start, width))]

    def _message(self, place: int, newer: bool) -> tuple[int, int, int]:
        """Return type, length and flags of the message at `place`."""
        file = self.file
        kind, length, flags = (
            (file.take(place, 1)[0], file.u16(place + 1), file.take(place + 3, 1)[0])
            if newer
            else (file.u16(place), file.u16(place + 2), file.take(place + 4, 1)[0])
        )
        self.messages, self.message_bytes = self.messages + 1, self.message_bytes + length
        if self.messages > _MOST_MESSAGES or self.message_bytes > _MOST_MESSAGE_BYTES:
            raise file.error("object headers have too many messages", place)
        return kind, length, flags

    def _children(self, messages: tuple[Message, ...], depth: int) -> Iterator[tuple[str, int]]:
        """Yield names and places of a group's members that lie in this file."""
        for message in messages:
            if message.kind == _TABLE:
                tree = self.sizes.place(message.cursor, 0)
                heap = self.sizes.place(message.cursor, self.sizes.address)
                if tree is not None and heap is not None:
                    yield from self._members(tree, self._names(heap), depth)
            elif message.kind == _LINK:
                yield from self._link(message.cursor)
            elif message.kind == _LINK_INFO:
                dense = 2 + (8 if message.cursor.take(1, 1)[0] & 1 else 0)
                if self.sizes.place(message.cursor, dense) is not None:
                    reason = "a group of many members in an index of HDF5 1.8 or later; write it with libver='earliest'"
                    raise self.file.error(reason, message.place)

    def _link(self, link: Cursor) -> Iterator[tuple[str, int]]:
        flags = link.take(1, 1)[0]
        place = 2 + (1 if flags & 0x08 else 0) + (8 if flags & 0x04 else 0) + (1 if flags & 0x10 else 0)
        if flags & 0x08 and link.take(2, 1)[0]:
            return  # a soft or an external link
        width = 1 << (flags & 3)
        length = self.sizes.unsigned(link, place, width)
        name = link.text(place + width, length)
        target = self.sizes.place(link, place + width + length)
        if target is not None:
            yield name, target

    def _names(self, heap: int) -> Cursor:
        """Return the names in a local heap."""
        if self.file.take(heap, 4) != b"HEAP":
            raise self.file.error("no heap of names", heap)
        size = self.sizes.unsigned(self.file, heap + 8, self.sizes.length)
        place = self.sizes.place(self.file, heap + 8 + 2 * self.sizes.length)
        return self.file.part(place or 0, size, "HDF5: names")

    def _members(self, place: int, names: Cursor, depth: int) -> Iterator[tuple[str, int]]:
        """Yield the members in a tree of symbol tables."""
        self._enter(place, depth)
        file, sizes = self.file, self.sizes
        if file.take(place, 4) == b"SNOD":
            self.members += file.u16(place + 6)
            if self.members > _MOST_MEMBERS:
                raise file.error(f"groups have more than {_MOST_MEMBERS} members", place)
            width = 2 * sizes.address + 24
            for entry in range(place + 8, place + 8 + width * file.u16(place + 6), width):
                target = sizes.place(file, entry + sizes.address)
                if target is not None and file.u32(entry + 2 * sizes.address) != 2:  # 2: a soft link
                    start = sizes.unsigned(file, entry, sizes.address)
                    yield names.text(start, min(256, max(0, len(names) - start))), target
            return
        kind, _, count = self._node(place)
        if kind != 0:
            raise file.error("a tree of another kind", place)
        step = sizes.address + sizes.length
        first = place + 8 + 2 * sizes.address + sizes.length
        for child in range(first, first + step * count, step):
            target = sizes.place(file, child)
            if target is not None:
                yield from self._members(target, names, depth + 1)

    def _node(self, place: int) -> tuple[int, int, int]:
        """Return kind, level and number of children of a tree's node."""
        if self.file.take(place, 4) != b"TREE":
            raise self.file.error("no node of a tree", place)
        kind, level = self.file.take(place + 4, 2)
        return kind, level, self.file.u16(place + 6)

    def chunks(self, place: int, axes: int, depth: int) -> Iterator[np.ndarray]:
        """Yield the chunks in a tree, a table for each of its leaves."""
        self._enter(place, depth)
        kind, level, count = self._node(place)
        self.counted += count
        if kind != 1 or self.counted > _MOST_CHUNKS:
            raise self.file.error(f"a tree of another kind, or of more than {_MOST_CHUNKS} chunks", place)
        record = _record(self.sizes, axes)
        raw = self.file.take(place + 8 + 2 * self.sizes.address, count * record.itemsize)
        table = np.frombuffer(raw, record)
        if level == 0:
            yield table
            return
        for target in table["place"]:
            yield from self.chunks(self.sizes.base + int(target), axes, depth + 1)
