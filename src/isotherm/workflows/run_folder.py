"""The folder of one run: what is in it, who may write there, and the journal that lets an interrupted run go on."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any, Literal

from isotherm.core.errors import OutputError
from isotherm.core.files import make_folder, remove_unfinished, whole_file
from isotherm.core.findings import ImageResult
from isotherm.reports.plain import dumps, from_plain

JOURNAL, RUN = "journal.jsonl", "run.json"
PICTURES = {"panels": ".png", "masks": ".png", "maps": ".npz"}
"""Folder of a run -> suffix of the files in it."""
FILES = (JOURNAL, RUN, "results.csv", "results.json", "report.html")
LEDGER = "ledger.sqlite"
"""Beside the files of a run that is worked through in chunks, until it is over; see `isotherm.workflows.scaled`."""
FORMAT_VERSION = 1

Existing = Literal["refuse", "resume", "overwrite"]


@dataclass(frozen=True)
class Journal:
    """The results of a run so far, in input order: a header, then one JSON line for each finished input.

    Lines reach the disk batch by batch, each batch whole or cut off at a line; what is cut off is done again.
    """

    path: Path
    header: dict[str, Any]
    done: tuple[ImageResult, ...]
    stream: IO[bytes]

    def append(self, results: Iterable[ImageResult]) -> None:
        """Add finished inputs and wait until they are on the disk."""
        lines = "".join(dumps(result) + "\n" for result in results)
        _write(self.path, self.stream, lines)

    def close(self) -> None:
        """Close the file; the journal stays, so that a finished run can be recognised."""
        try:
            self.stream.close()
        except OSError as error:
            # What a failed write has left in the buffer is written once more, and fails once more.
            raise OutputError(f"cannot write {self.path}: {error.strerror}") from error


def folders_of(out: Path) -> list[Path]:
    """Return the folders that a run writes to; not all of them need be there."""
    return [out, *(out / name for name in PICTURES)]


def open_run(out: Path, header: Mapping[str, Any], existing: Existing, extra: Iterable[str] = ()) -> Journal:
    """Prepare the folder of a run and return its journal.

    Parameters
    ----------
    out
        The folder; it is created where it is missing.
    header
        What the results depend on, as plain values: the same ``identity`` means the same results.
    existing
        What to do where `out` holds an inspection: refuse, continue it, or replace it.
    extra
        Names of other files that this run will write (reports of plug-ins).

    Raises
    ------
    OutputError
        The folder cannot be written, holds something else, or holds an inspection with other settings.
    """
    if (out / LEDGER).is_file():
        raise OutputError(
            f"{out} holds an inspection that was begun with --executor: continue it or replace it (--overwrite) with "
            "--executor, or name another folder"
        )
    ours = _is_ours(out, extra, begun=False)
    if ours and existing == "refuse":
        raise OutputError(
            f"{out} holds an inspection already: continue it (--resume), replace it (--overwrite), or name another "
            "folder"
        )
    if ours and existing == "resume":
        return _continued(out / JOURNAL, header)
    if ours:
        _clear(out, extra)
    return _begun(make_folder(out) / JOURNAL, header)


def prepare_chunks(out: Path, existing: Existing, extra: Iterable[str], *, begun: bool) -> None:
    """Prepare the folder of a run that is worked through in chunks.

    Parameters
    ----------
    out, existing, extra
        As `open_run` takes them; a run that was begun is continued, if it is not to be replaced.
    begun
        Whether a ledger knows this run.

    Raises
    ------
    OutputError
        The folder cannot be written, or holds something else.
    """
    # A ledger's file is there from the very beginning, before the run is known to it.
    ours = _is_ours(out, extra, begun=begun or (out / LEDGER).is_file())
    if ours and existing == "overwrite":
        _clear(out, extra)
    elif (out / JOURNAL).is_file() and not begun:
        raise OutputError(
            f"{out} holds an inspection already, finished or begun without --executor: replace it (--overwrite), "
            "continue it without --executor (--resume), or name another folder"
        )
    make_folder(out)


def _is_ours(out: Path, extra: Iterable[str], *, begun: bool) -> bool:
    """Say whether a folder holds an inspection; raises OutputError where it holds something else."""
    if not out.is_dir() and out.exists():
        raise OutputError(f"{out} is not a folder")
    found = [name for name in (*FILES, *PICTURES, *extra) if (out / name).exists()]
    ours = begun or (out / JOURNAL).is_file()
    if found and not ours:
        raise OutputError(f"{out} holds {', '.join(found)} of something else than an inspection; name another folder")
    return ours


def write_journal(out: Path, header: Mapping[str, Any], lines: Iterable[str]) -> None:
    """Write the journal of a finished run, whole; each line is a result as JSON."""
    whole = {"format_version": FORMAT_VERSION, **header}
    with whole_file(out / JOURNAL) as stream:
        for line in chain([dumps(whole)], lines):
            stream.write(f"{line}\n".encode("utf-8", "backslashreplace"))
        stream.flush()
        os.fsync(stream.fileno())


def _begun(path: Path, header: Mapping[str, Any]) -> Journal:
    try:
        stream = path.open("xb")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    whole = {"format_version": FORMAT_VERSION, **header}
    _write(path, stream, dumps(whole) + "\n")
    return Journal(path, whole, (), stream)


def _continued(path: Path, header: Mapping[str, Any]) -> Journal:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror}") from error
    # A last line without its end was being written when the run was interrupted.
    lines = data[: data.rfind(b"\n") + 1].splitlines(keepends=True)
    if not lines:
        path.unlink()
        return _begun(path, header)
    stored, done = _parsed(path, lines)
    _check_same(path.parent, stored, header)
    kept = _with_their_files(path.parent, done)
    try:
        remove_unfinished(*folders_of(path.parent))
        stream = path.open("r+b")
        stream.truncate(sum(map(len, lines[: 1 + len(kept)])))
        stream.seek(0, os.SEEK_END)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    return Journal(path, stored, kept, stream)


def read_run(out: Path) -> tuple[dict[str, Any], tuple[ImageResult, ...]]:
    """Return the header and the results of a run; raises OutputError where its journal is damaged."""
    path = out / JOURNAL
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror}") from error
    if not lines:
        raise OutputError(f"{path} is empty")
    return _parsed(path, lines)


def _parsed(path: Path, lines: list[bytes]) -> tuple[dict[str, Any], tuple[ImageResult, ...]]:
    try:
        header = json.loads(lines[0])
        if header["format_version"] != FORMAT_VERSION:
            raise OutputError(f"{path} was written by another version of isotherm; overwrite it or name another folder")
        done = tuple(from_plain(ImageResult, json.loads(line)) for line in lines[1:])
    except (ValueError, TypeError, KeyError) as error:
        raise OutputError(f"{path} is damaged ({error}); overwrite it or name another folder") from error
    return header, done


def _check_same(out: Path, stored: Mapping[str, Any], header: Mapping[str, Any]) -> None:
    before, now = stored.get("identity"), json.loads(dumps(header["identity"]))
    if before != now:
        raise other_run(out, before, now)


def other_run(out: Path, before: Any, now: Mapping[str, Any]) -> OutputError:
    """Return the error of a run that was begun with another identity; it says what has changed."""
    changed = sorted(_differences(before, now)) if isinstance(before, dict) else ["everything"]
    return OutputError(
        f"{out} was begun with other input or settings ({', '.join(changed)}): overwrite it or name another folder"
    )


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterable[str]:
    for name in {*before, *now}:
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(old, new)
        elif old != new:
            yield name.replace("_", " ")


def _with_their_files(out: Path, done: tuple[ImageResult, ...]) -> tuple[ImageResult, ...]:
    """Return the results up to the first one whose pictures have gone."""
    for place, result in enumerate(done):
        if not all((out / name).is_file() for name in (result.panel, result.mask) if name):
            return done[:place]
    return done


def _clear(out: Path, extra: Iterable[str]) -> None:
    """Remove what an earlier run wrote, the journal last, and nothing else."""
    try:
        remove_unfinished(*folders_of(out))
        for name, suffix in PICTURES.items():
            folder = out / name
            for path in folder.glob(f"*{suffix}"):
                path.unlink()
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        for name in (*FILES[1:], *extra, JOURNAL):
            (out / name).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot clear {out}: {error.strerror}") from error


def _write(path: Path, stream: IO[bytes], text: str) -> None:
    try:
        stream.write(text.encode("utf-8", "backslashreplace"))
        stream.flush()
        os.fsync(stream.fileno())
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
