"""The files of one run: what there is, who may write there, and the journal that lets an interrupted run go on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, Literal

from isotherm.core.errors import OutputError
from isotherm.core.findings import ImageResult
from isotherm.core.progress import Progress, silent
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


NOT_WRITTEN = (ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What reading a line raises that no run has written."""


class DamagedJournalError(OutputError):
    """A line of a journal is not one that a run has written; who goes on reads it again, and fails again."""


@dataclass(frozen=True)
class Journal:
    """The results of a run so far, in input order: a header, then one JSON line for each finished input.

    Lines reach the disk batch by batch, each batch whole or cut off at a line; what is cut off is done again. The
    file lies on a disk of this machine; `RunPlace.deliver` brings it to a bucket.
    """

    path: Path
    header: dict[str, Any]
    done: int
    """How many inputs were finished when it was opened."""
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


def open_run(
    place: RunPlace,
    header: Mapping[str, Any],
    existing: Existing,
    extra: Iterable[str] = (),
    *,
    progress: Progress = silent,
    total: int = 0,
) -> Journal:
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
    progress, total
        Is told how many of so many inputs were found finished, where a run is continued.

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
        return _continued(place, header, lambda done: progress(done, total, "reading what is done"))
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
    return Journal(path, _whole(header), 0, stream)


def _continued(place: RunPlace, header: Mapping[str, Any], look: Callable[[int], None]) -> Journal:
    shown, path = place.fetch(JOURNAL), place.local(JOURNAL)
    try:
        with path.open("rb") as stream:
            first = stream.readline()
            if not first.endswith(b"\n"):
                place.remove([JOURNAL], {})
                return _begun(place, header)
            stored = _header_of(shown, first)
            _check_same(place, stored, header)
            done, end = _finished(place, shown, stream, look)
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror}") from error
    place.remove_unfinished(PICTURES)
    try:
        appending = path.open("r+b")
        appending.truncate(len(first) + end)
        appending.seek(0, os.SEEK_END)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    return Journal(path, stored, done, appending)


def _finished(place: RunPlace, shown: str, lines: Iterable[bytes], look: Callable[[int], None]) -> tuple[int, int]:
    """Return how many lines hold results whose pictures are there, up to the first that does not, and their bytes."""
    there, done, end = place.holding(("panels", "masks")), 0, 0
    for line in lines:
        # A last line without its end was being written when the run was interrupted.
        result = _result_of(shown, done + 2, line) if line.endswith(b"\n") else None
        if result is None or not all(map(there, filter(None, (result.panel, result.mask)))):
            break
        done, end = done + 1, end + len(line)
        look(done)
    return done, end


def run_results(place: RunPlace) -> Iterator[ImageResult]:
    """Yield the results of a run that is over, in input order; raises OutputError where its journal is damaged."""
    path = f"{place}/{JOURNAL}"
    with place.reading(JOURNAL) as stream:
        first = stream.readline()
        if not first:
            raise OutputError(f"{path} is empty; make the inspection again (--overwrite)")
        _header_of(path, first)
        for number, line in enumerate(stream, 2):
            yield _result_of(path, number, line)


def journal_lines(place: RunPlace) -> Iterator[str]:
    """Yield the results of a run that is over, each as JSON; raises OutputError where its journal cannot be read."""
    path = f"{place}/{JOURNAL}"
    with place.reading(JOURNAL) as stream:
        for number, line in islice(enumerate(stream, 1), 1, None):
            with _undamaged(path, number):
                text = line.decode("utf-8")
            yield text


def _header_of(path: Path | str, line: bytes) -> dict[str, Any]:
    with _undamaged(path, 1):
        header: dict[str, Any] = json.loads(line)
        if header["format_version"] != FORMAT_VERSION:
            raise OutputError(f"{path} was written by another version of isotherm; overwrite it or name another folder")
        return header


def _result_of(path: Path | str, number: int, line: bytes) -> ImageResult:
    with _undamaged(path, number):
        return from_plain(ImageResult, json.loads(line))


@contextmanager
def _undamaged(path: Path | str, number: int) -> Iterator[None]:
    try:
        yield
    except NOT_WRITTEN as error:
        raise damaged(path, number, error) from error


def damaged(path: Path | str, number: int, error: Exception) -> DamagedJournalError:
    """Return the error of a line of a journal; it says which, and what to do."""
    what = f"{path} is damaged in line {number} ({_why(error)})"
    if number == 1:
        return DamagedJournalError(
            f"{what}: it says what the run is about, and nothing goes on without it; replace the run (--overwrite) or "
            "name another folder"
        )
    return DamagedJournalError(
        f"{what}: cut the file off before it (head -n {number - 1}), and --resume does those pictures again, or "
        "replace the run (--overwrite)"
    )


def _why(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        # Its own words name a line, too: that of the one line.
        return f"no JSON from character {error.pos} on"
    return f"{type(error).__name__}: {error}"


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
