"""The files of one run: what there is, who may write there, and the journal that lets an interrupted run go on."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, Literal

from isotherm.core.errors import OutputError
from isotherm.core.findings import ImageResult
from isotherm.reports.plain import dumps, from_plain
from isotherm.workflows.run_place import RunPlace

JOURNAL, RUN = "journal.jsonl", "run.json"
PICTURES = {"panels": ".png", "masks": ".png", "maps": ".npz"}
"""Folder of a run -> suffix of the files in it."""
DRAWN = {"drawn": ".json"}
"""Where reports keep what they have drawn (`isotherm.workflows.report_cache`)."""
FILES = (JOURNAL, RUN, "results.csv", "results.json", "report.html")
LEDGER = "ledger.sqlite"
"""Beside the files of a run that is worked through in chunks, until it is over; see `isotherm.workflows.scaled`."""
FORMAT_VERSION = 1

Existing = Literal["refuse", "resume", "overwrite"]


@dataclass(frozen=True)
class Journal:
    """The results of a run so far, in input order: a header, then one JSON line for each finished input.

    Lines reach the disk batch by batch, each batch whole or cut off at a line; what is cut off is done again. The
    file lies on a disk of this machine; `RunPlace.deliver` brings it to a bucket.
    """

    path: Path
    header: dict[str, Any]
    done: tuple[ImageResult, ...]
    stream: IO[bytes]

    def append(self, results: Iterable[ImageResult]) -> None:
        """Add finished inputs and wait until they are on the disk."""
        lines = "".join(dumps(result) + "\n" for result in results)
        _write(self.path, self.stream, lines.encode("utf-8", "backslashreplace"))

    def close(self) -> None:
        """Close the file; the journal stays, so that a finished run can be recognised."""
        try:
            self.stream.close()
        except OSError as error:
            # What a failed write has left in the buffer is written once more, and fails once more.
            raise OutputError(f"cannot write {self.path}: {error.strerror}") from error


def open_run(place: RunPlace, header: Mapping[str, Any], existing: Existing, extra: Iterable[str] = ()) -> Journal:
    """Prepare the place of a run and return its journal.

    Parameters
    ----------
    place
        A folder, which is created where it is missing, or a bucket.
    header
        What the results depend on, as plain values: the same ``identity`` means the same results.
    existing
        What to do where `place` holds an inspection: refuse, continue it, or replace it.
    extra
        Names of other files that this run will write (reports of plug-ins).

    Raises
    ------
    OutputError
        The place cannot be written, holds something else, or holds an inspection with other settings.
    IsothermError
        What `isotherm.store.objects_s3` says of a bucket.
    """
    if place.local(LEDGER).is_file() and (place.has(JOURNAL) or not place.claims):
        raise OutputError(
            f"{place} holds an inspection that was begun with --executor: continue it or replace it (--overwrite) with "
            "--executor, or name another folder"
        )
    ours = _is_ours(place, extra, begun=False)
    if ours and existing == "refuse":
        raise OutputError(
            f"{place} holds an inspection already: continue it (--resume), replace it (--overwrite), or name another "
            "folder"
        )
    if ours and existing == "resume":
        return _continued(place, header)
    if ours:
        _clear(place, extra)
    place.prepare()
    return _begun(place, header)


def prepare_chunks(place: RunPlace, existing: Existing, extra: Iterable[str], *, begun: bool) -> None:
    """Prepare the place of a run that is worked through in chunks.

    Parameters
    ----------
    place, existing, extra
        As `open_run` takes them; a run that was begun is continued, if it is not to be replaced.
    begun
        Whether a ledger knows this run.

    Raises
    ------
    OutputError
        The place cannot be written, or holds something else.
    IsothermError
        What `isotherm.store.objects_s3` says of a bucket.
    """
    # In a folder the ledger is there from the very beginning, before the run is known to it; in a bucket the claim is.
    ours = _is_ours(place, extra, begun=begun or (not place.claims and place.local(LEDGER).is_file()))
    if ours and existing == "overwrite":
        _clear(place, extra)
    elif place.has(JOURNAL) and not begun:
        raise OutputError(
            f"{place} holds an inspection already, finished or begun without --executor or elsewhere: replace it "
            "(--overwrite), continue it without --executor (--resume), or name another folder"
        )
    place.prepare()


def claim(place: RunPlace, header: Mapping[str, Any]) -> None:
    """Show that a place is taken by a run whose journal will be written at its end; see `RunPlace.claim`."""
    place.claim(JOURNAL, _first_line(header))


def is_claimed(place: RunPlace, header: Mapping[str, Any]) -> bool:
    """Say whether a place is still that of the run which has shown this by `claim`."""
    return place.claimed(JOURNAL, _first_line(header))


def _is_ours(place: RunPlace, extra: Iterable[str], *, begun: bool) -> bool:
    """Say whether a place holds an inspection; raises OutputError where it holds something else."""
    found = [name for name in dict.fromkeys((*FILES, *PICTURES, *extra)) if place.taken(name)]
    ours = begun or place.has(JOURNAL)
    if found and not ours:
        raise OutputError(f"{place} holds {', '.join(found)} of something else than an inspection; name another folder")
    return ours


def write_journal(place: RunPlace, header: Mapping[str, Any], lines: Iterable[str]) -> None:
    """Write the journal of a finished run, whole; each line is a result as JSON."""
    with place.opened(JOURNAL) as stream:
        stream.write(_first_line(header))
        for line in lines:
            stream.write(f"{line}\n".encode("utf-8", "backslashreplace"))
        stream.flush()
        os.fsync(stream.fileno())


def _whole(header: Mapping[str, Any]) -> dict[str, Any]:
    return {"format_version": FORMAT_VERSION, **header}


def _first_line(header: Mapping[str, Any]) -> bytes:
    return f"{dumps(_whole(header))}\n".encode("utf-8", "backslashreplace")


def _begun(place: RunPlace, header: Mapping[str, Any]) -> Journal:
    first = _first_line(header)
    place.claim(JOURNAL, first)
    if place.claims:
        # Of a run whose results somebody has removed: it would speak for pictures that are not there.
        for end in ("", "-wal", "-shm"):
            place.local(f"{LEDGER}{end}").unlink(missing_ok=True)
    path = place.local(JOURNAL)
    try:
        stream = path.open("xb")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    _write(path, stream, first)
    return Journal(path, _whole(header), (), stream)


def _continued(place: RunPlace, header: Mapping[str, Any]) -> Journal:
    place.fetch(JOURNAL)
    path = place.local(JOURNAL)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror}") from error
    # A last line without its end was being written when the run was interrupted.
    lines = data[: data.rfind(b"\n") + 1].splitlines(keepends=True)
    if not lines:
        place.remove([JOURNAL], {})
        return _begun(place, header)
    stored, done = _parsed(path, lines)
    _check_same(place, stored, header)
    kept = _with_their_files(place, done)
    place.remove_unfinished(PICTURES)
    try:
        stream = path.open("r+b")
        stream.truncate(sum(map(len, lines[: 1 + len(kept)])))
        stream.seek(0, os.SEEK_END)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    return Journal(path, stored, kept, stream)


def read_run(place: RunPlace) -> tuple[dict[str, Any], tuple[ImageResult, ...]]:
    """Return the header and the results of a run; raises OutputError where its journal is damaged."""
    path = f"{place}/{JOURNAL}"
    lines = place.read(JOURNAL).splitlines(keepends=True)
    if not lines:
        raise OutputError(f"{path} is empty")
    return _parsed(path, lines)


def journal_lines(place: RunPlace) -> Iterator[str]:
    """Yield the results of a run that is over, each as JSON; raises OutputError where its journal cannot be read."""
    with place.reading(JOURNAL) as stream:
        for line in islice(stream, 1, None):
            yield line.decode("utf-8")


def _parsed(path: Path | str, lines: list[bytes]) -> tuple[dict[str, Any], tuple[ImageResult, ...]]:
    try:
        header = json.loads(lines[0])
        if header["format_version"] != FORMAT_VERSION:
            raise OutputError(f"{path} was written by another version of isotherm; overwrite it or name another folder")
        done = tuple(from_plain(ImageResult, json.loads(line)) for line in lines[1:])
    except (ValueError, TypeError, KeyError) as error:
        raise OutputError(f"{path} is damaged ({error}); overwrite it or name another folder") from error
    return header, done


def _check_same(place: RunPlace, stored: Mapping[str, Any], header: Mapping[str, Any]) -> None:
    before, now = stored.get("identity"), json.loads(dumps(header["identity"]))
    if before != now:
        raise other_run(place, before, now)


def other_run(place: RunPlace, before: Any, now: Mapping[str, Any]) -> OutputError:
    """Return the error of a run that was begun with another identity; it says what has changed."""
    changed = sorted(_differences(before, now)) if isinstance(before, dict) else ["everything"]
    return OutputError(
        f"{place} was begun with other input or settings ({', '.join(changed)}): overwrite it or name another folder"
    )


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterable[str]:
    for name in {*before, *now}:
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(old, new)
        elif old != new:
            yield name.replace("_", " ")


def _with_their_files(place: RunPlace, done: tuple[ImageResult, ...]) -> tuple[ImageResult, ...]:
    """Return the results up to the first one whose pictures have gone."""
    there = set(chain(place.names("panels"), place.names("masks"))) if done else set()
    for number, result in enumerate(done):
        if not there.issuperset(name for name in (result.panel, result.mask) if name):
            return done[:number]
    return done


def _clear(place: RunPlace, extra: Iterable[str]) -> None:
    """Remove what an earlier run wrote, the journal last, and nothing else."""
    place.remove_unfinished(PICTURES)
    place.remove((*FILES[1:], *extra, JOURNAL), PICTURES | DRAWN)


def _write(path: Path, stream: IO[bytes], data: bytes) -> None:
    try:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
