"""What travels between `isotherm.jobs.limited` and its children: a JSON header and parts of plain bytes, no pickle.

Both sides are ours, but a child that decodes strangers' bytes may have been taken over: the parent believes no length
and runs nothing that it reads.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from isotherm.core import errors
from isotherm.core.errors import FormatError, IsothermError, TooLargeError

_LENGTH = struct.Struct("!Q")
_CHUNK = 1 << 20
NO_MEMORY = 77
"""The exit status of a child that has no room for the data of a call."""


@dataclass(frozen=True)
class Answer:
    """What a function that runs in a child returns: plain values, ready for JSON, and parts of bytes by name."""

    values: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, bytes] = field(default_factory=dict, repr=False)


def encoded(header: Mapping[str, Any], parts: Sequence[bytes] = ()) -> bytes:
    """Return the head of a message; raises ValueError or TypeError where the header is not JSON."""
    whole = {**header, "sizes": [len(part) for part in parts]}
    head = json.dumps(whole, allow_nan=False, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return _LENGTH.pack(len(head)) + head


def send(stream: socket.socket, head: bytes, parts: Sequence[bytes] = ()) -> None:
    """Send a message whose head was encoded for these parts; raises OSError where nobody listens."""
    stream.sendall(head)
    for part in parts:
        stream.sendall(part)


def receive(
    stream: socket.socket, most_bytes: int, deadline: float | None = None
) -> tuple[dict[str, Any], list[bytes]]:
    """Return the header and the parts of the next message.

    Parameters
    ----------
    stream
        The connection.
    most_bytes
        How large the message may be.
    deadline
        When it must be there, by ``time.monotonic()``; None waits for ever.

    Raises
    ------
    EOFError
        The other side is gone.
    TimeoutError
        The message was not there in time.
    TooLargeError
        It is larger than `most_bytes`.
    ValueError
        It is no message.
    """
    (length,) = _LENGTH.unpack(_exactly(stream, _LENGTH.size, deadline))
    _check(length, most_bytes)
    header = json.loads(_exactly(stream, length, deadline).decode("utf-8", "surrogatepass"))
    sizes = header.pop("sizes", None) if isinstance(header, dict) else None
    if not isinstance(sizes, list) or not all(type(size) is int and size >= 0 for size in sizes):
        raise ValueError("the header is not as expected")
    _check(length + sum(sizes), most_bytes)
    return header, [_exactly(stream, size, deadline) for size in sizes]


def _check(size: int, most_bytes: int) -> None:
    if size > most_bytes:
        raise TooLargeError(f"{size} bytes; at most {most_bytes} are allowed")


def _exactly(stream: socket.socket, size: int, deadline: float | None) -> bytes:
    pieces, missing = list[bytes](), size
    while missing:
        if deadline is not None:
            # Zero would mean "do not wait", with another error.
            stream.settimeout(max(deadline - time.monotonic(), 1e-4))
        piece = stream.recv(min(missing, _CHUNK) if deadline is not None else missing, socket.MSG_WAITALL)
        if not piece:
            raise EOFError("the other side has closed the connection")
        pieces.append(piece)
        missing -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def too_much_memory(memory_bytes: int) -> TooLargeError:
    """Return the error of data that need more memory than they may have."""
    return TooLargeError(f"to decode this takes more than the {memory_bytes >> 20} MiB of memory that it may have")


def plain_error(error: IsothermError) -> dict[str, Any]:
    """Return an error of our own tree as plain values."""
    kind = next(base.__name__ for base in type(error).__mro__ if getattr(errors, base.__name__, None) is base)
    return {"kind": kind, "text": str(error), "members": json.loads(json.dumps(vars(error), default=str))}


def raised(plain: Mapping[str, Any]) -> IsothermError:
    """Return the error that `plain_error` described; a FormatError where it is none of the tree."""
    kind = getattr(errors, str(plain.get("kind")), None)
    text, members = str(plain.get("text")), plain.get("members")
    if not (isinstance(kind, type) and issubclass(kind, IsothermError)):
        return FormatError(text)
    error = kind.__new__(kind)
    # Its own arguments are not known any more; its message and its members are.
    Exception.__init__(error, text)
    vars(error).update(members if isinstance(members, dict) else {})
    return error
