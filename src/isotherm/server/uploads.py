"""Forms with files, read as they come: little memory, however large they are, and a limit for all that has a size.

::

    async with received(request) as form:
        taken = await in_lane(request, take_in, service, actor, site_id, form.uploads)
"""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MAX_BOUNDARY_LENGTH, MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from isotherm.core.errors import BusyError, UsageError
from isotherm.server.settings import ServerSettings
from isotherm.workflows.service.images import Upload

P = ParamSpec("P")
R = TypeVar("R")
IN_MEMORY = 4 * 1024 * 1024
"""What of one request is kept in memory [bytes]; the rest goes to files in the data folder's ``scratch``."""
MOST_HEADERS, MOST_HEADER_BYTES = 8, 4096


class Lane:
    """The threads that take uploads in, so that pages and health have others; a bounded number waits for them."""

    def __init__(self, threads: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="isotherm-upload")
        self._most, self._open = threads + waiting, 0

    async def run(self, function: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
        """Call a function in the lane; raises BusyError where too many wait."""
        if self._open >= self._most:
            raise BusyError("too many uploads wait")
        self._open += 1
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._pool, lambda: context.run(function, *arguments, **named))
        finally:
            self._open -= 1

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)


async def in_lane(request: Request, function: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
    """Call a function that takes long in the lane of uploads; raises BusyError where too many wait."""
    lane: Lane = request.app.state.lane
    return await lane.run(function, *arguments, **named)


@dataclass
class Form:
    """What a form holds: its files, in order, its other fields, and the files that cannot be taken, with the reason.

    ``places`` says for each file of the form, in order, its index in ``uploads``, or the name and reason of refusal.
    """

    uploads: list[Upload] = field(default_factory=list)
    fields: dict[str, list[str]] = field(default_factory=dict)
    places: list[int | tuple[str, str]] = field(default_factory=list)

    def text(self, name: str, default: str = "") -> str:
        """Return the first value of a field."""
        return self.fields.get(name, [default])[0]

    def fingerprint(self) -> bytes:
        """Return what tells this form from others: the names and contents of its files, and its fields."""
        whole = hashlib.sha256(repr(sorted(self.fields.items())).encode())
        for upload in self.uploads:
            whole.update(f"\n{upload.name!r}:".encode("utf-8", "backslashreplace"))
            whole.update(_digest(upload.data))
        return whole.digest()


def _digest(data: bytes | Path | str) -> bytes:
    if isinstance(data, Path):
        with data.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    return hashlib.sha256(data if isinstance(data, bytes) else data.encode()).digest()


@dataclass(eq=False)
class _Part:
    name: str = ""
    filename: str | None = None
    data: bytearray = field(default_factory=bytearray)
    size: int = 0
    path: Path | None = None
    refused: str = ""


class _Collector:
    """What the parser calls while bytes come in."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self.done: list[_Part] = []
        self.part: _Part | None = None
        self.ended = False
        self._header, self._value = bytearray(), bytearray()
        self._disposition = b""
        self._files = self._fields = 0

    def callbacks(self) -> dict[str, Callable[..., None]]:
        """Return them by the parser's names."""
        names = (
            "part_begin", "part_data", "part_end", "header_field", "header_value", "header_end", "headers_finished",
            "end",
        )  # fmt: skip
        return {f"on_{name}": getattr(self, f"_on_{name}") for name in names}

    def _on_part_begin(self) -> None:
        self.part, self._disposition = _Part(), b""

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _on_headers_finished(self) -> None:
        part = self._open()
        kind, options = parse_options_header(self._disposition)
        if kind != b"form-data" or b"name" not in options:
            raise UsageError("each part of the form needs a header Content-Disposition: form-data; name=...")
        part.name = _text(options[b"name"])
        if b"filename" in options:
            part.filename = _text(options[b"filename"])
        self._count(part)

    def _count(self, part: _Part) -> None:
        self._files += part.filename is not None
        self._fields += part.filename is None
        if self._files > self._settings.most_files or self._fields > self._settings.most_fields:
            raise UsageError(
                f"a form may hold {self._settings.most_files} files and {self._settings.most_fields} other fields"
            )

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        part = self._open()
        part.size += end - start
        most = self._settings.most_field_bytes if part.filename is None else self._settings.most_file_bytes
        if part.size <= most:
            part.data += data[start:end]
        elif part.filename is None:
            raise UsageError(f"a field of a form may hold {most} bytes")
        else:
            part.refused = f"the file is longer than {most} bytes, the most that is taken"
            part.data.clear()

    def _on_part_end(self) -> None:
        self.done.append(self._open())
        self.part = None

    def _on_end(self) -> None:
        self.ended = True

    def _open(self) -> _Part:
        if self.part is None:
            raise UsageError("the form is not well made")
        return self.part


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data":
        raise HTTPException(415, "the body must be multipart/form-data")
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= MAX_BOUNDARY_LENGTH:
        raise UsageError("the header Content-Type lacks a boundary of 1 to 256 bytes")
    return boundary


class _Spill:
    """Where the parts of one request go that memory has no room for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.paths: list[Path] = []

    async def relieve(self, parts: list[_Part]) -> None:
        """Write the longest files to the disk where all of them hold more than may be in memory."""
        files = [part for part in parts if part.filename is not None]
        held = sum(len(part.data) for part in files)
        for part in sorted(files, key=lambda part: -len(part.data)):
            if held <= IN_MEMORY:
                return
            held -= len(part.data)
            await run_in_threadpool(self._write, part)

    def _write(self, part: _Part) -> None:
        if part.path is None:
            handle, name = tempfile.mkstemp(dir=self._folder, prefix="upload-")
            os.close(handle)
            part.path = Path(name)
            self.paths.append(part.path)
        with part.path.open("ab") as stream:
            stream.write(part.data)
        part.data.clear()

    def finish(self, part: _Part) -> bytes | Path:
        """Return the content of a part, whole in memory or whole in a file."""
        if part.path is None:
            return bytes(part.data)
        if part.data:
            self._write(part)
        return part.path

    def remove(self) -> None:
        """Remove the files."""
        for path in self.paths:
            with suppress(OSError):
                path.unlink()


@asynccontextmanager
async def received(request: Request, service: Any = None, *, most_file_bytes: int = 0) -> AsyncIterator[Form]:
    """Give the form in the body of a request; its files last as long as the block.

    Parameters
    ----------
    request
        What is read.
    service
        Whose ``scratch`` takes large files; None for the application's.
    most_file_bytes
        How long one file may be; 0 for what the settings of the server say.

    Raises
    ------
    UsageError, HTTPException
        It is no form, not well made, or has too many parts; a single file that is too long is refused by itself.
    """
    service = service or request.app.state.service
    settings: ServerSettings = request.app.state.settings
    if most_file_bytes:
        settings = replace(settings, most_file_bytes=most_file_bytes)
    spill = _Spill(service.folder / "scratch")
    try:
        parts = await _parse(request, spill, settings)
        # Only what lies on the disk is worth a thread.
        yield await run_in_threadpool(_form_of, parts, spill) if spill.paths else _form_of(parts, spill)
    finally:
        spill.remove()


async def _parse(request: Request, spill: _Spill, settings: ServerSettings) -> list[_Part]:
    collector = _Collector(settings)
    parser = MultipartParser(
        _boundary(request),
        collector.callbacks(),  # type: ignore[arg-type]
        max_header_count=MOST_HEADERS,
        max_header_size=MOST_HEADER_BYTES,
    )
    try:
        async for chunk in request.stream():
            parser.write(chunk)
            await spill.relieve([*collector.done, *([collector.part] if collector.part else [])])
        parser.finalize()
    except FormParserError as error:
        raise UsageError("the form is not well made: its boundary and headers must be those of RFC 7578") from error
    except ClientDisconnect as error:
        raise UsageError("the client went away before its form was whole") from error
    if not collector.ended:
        raise UsageError("the form breaks off before its last boundary")
    return collector.done


def _form_of(parts: list[_Part], spill: _Spill) -> Form:
    form = Form()
    for part in parts:
        if part.filename is None:
            form.fields.setdefault(part.name, []).append(_text(bytes(part.data)))
        elif part.refused:
            form.places.append((part.filename, part.refused))
        elif part.size or part.filename:
            # A file input that was left empty sends a part without name and content.
            form.places.append(len(form.uploads))
            form.uploads.append(Upload(part.filename, spill.finish(part)))
    return form
