"""What a run writes when all its pictures are done: tables, reports, and ``run.json``.

There may be more results than memory holds. They are read once for everything that is said of all of them, and once
more by a report that holds each of them behind a summary (``results.json``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import chain, islice
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from isotherm.core.files import csv_encoder
from isotherm.core.findings import ImageResult, Inspection
from isotherm.core.progress import Progress, counted, silent
from isotherm.reports import REPORT_WRITERS
from isotherm.reports.content import LISTED, Gathering, Report
from isotherm.reports.csv_writer import COLUMNS, row
from isotherm.reports.csv_writer import WRITER as TABLE
from isotherm.reports.pictures import for_page
from isotherm.reports.plain import dumps
from isotherm.reports.writer import PiecewiseWriter, ReportWriter
from isotherm.store.filesystem import failed
from isotherm.workflows.columns_output import ColumnsTarget
from isotherm.workflows.run_folder import RUN
from isotherm.workflows.run_place import RunPlace

Taker = Callable[[ImageResult], None]
_IN_MEMORY_BYTES = 2**20


@dataclass(frozen=True)
class RunEnd:
    """The end of one run.

    Parameters
    ----------
    place
        Where its files go.
    inspection
        What was found; its results are gone through as seldom as possible.
    reports
        Names of `REPORT_WRITERS`; ``results.csv`` is always written.
    tables
        Where the rows go as Parquet; None for nowhere.
    look
        Is shown each result once, in input order.
    progress
        Is told of the rows of tables and reports.
    """

    place: RunPlace
    inspection: Inspection
    reports: Sequence[str]
    tables: ColumnsTarget | None = None
    look: Taker | None = None
    progress: Progress = silent

    def write(self, work: Callable[[], Mapping[str, Any]]) -> None:
        """Write everything.

        Parameters
        ----------
        work
            Returns what ``run.json`` says about the work, when all else is written.

        Raises
        ------
        IsothermError
            A file cannot be written, or a panel that was written has gone.
        """
        with _opened_inputs() as inputs:
            gathering = Gathering(self.inspection.model, most=LISTED)
            digests = {TABLE.filename: self._go_through(gathering.add, inputs.add)}
            report = gathering.report(self.inspection)
            others = [REPORT_WRITERS.get(name) for name in dict.fromkeys(self.reports) if name != TABLE.name]
            for writer in others:
                digests[writer.filename] = self._rendered(writer, report)
            names = [REPORT_WRITERS.get(name).filename for name in dict.fromkeys((*self.reports, TABLE.name))]
            outputs = {name: digests[name] for name in names}
            pieces = _run_json(report, work(), inputs, outputs)
            _written(self.place, RUN, pieces)

    def _go_through(self, *takers: Taker) -> str:
        """Write the tables while each result is shown to all; returns the digest of ``results.csv``."""
        line, digest = csv_encoder(COLUMNS), hashlib.sha256()
        with self.place.opened(TABLE.filename) as stream:

            def write(cells: Mapping[str, object]) -> None:
                data = line(cells)
                stream.write(data)
                digest.update(data)

            write(dict(zip(COLUMNS, COLUMNS, strict=True)))
            found = self.inspection.results
            results = counted(found, len(found), self.progress, "writing tables")
            shown = _shown(results, (lambda result: write(row(result)), *takers, *self._looking))
            if self.tables is not None:
                self.tables.write(shown)
            else:
                for _ in shown:
                    pass
        return digest.hexdigest()

    @property
    def _looking(self) -> tuple[Taker, ...]:
        return () if self.look is None else (self.look,)

    def _rendered(self, writer: ReportWriter, report: Report) -> str:
        if writer.name == "html":
            report = replace(report, pictures=for_page(self.place.read, report.detailed))
        message, count = f"writing {writer.filename}", len(report.inspection.results)
        if isinstance(writer, PiecewiseWriter):
            pieces = writer.pieces(report)
            # A piece for each result, and one for the end.
            shown = chain(counted(islice(pieces, count), count, self.progress, message), pieces)
            return _written(self.place, writer.filename, shown)
        self.progress(0, 1, message)
        digest = _written(self.place, writer.filename, (writer.render(report),))
        self.progress(1, 1, message)
        return digest


def _shown(results: Iterable[ImageResult], takers: Sequence[Taker]) -> Iterator[ImageResult]:
    """Yield results, each after all takers have seen it."""
    for result in results:
        for take in takers:
            take(result)
        yield result


def _written(place: RunPlace, name: str, pieces: Iterable[bytes]) -> str:
    """Write a file and return its sha256."""
    digest = hashlib.sha256()
    with place.opened(name) as stream:
        for piece in pieces:
            stream.write(piece)
            digest.update(piece)
    return digest.hexdigest()


class _Inputs:
    """Names and digests of all inputs as the members of a JSON object, on the disk where they are many."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def add(self, result: ImageResult) -> None:
        separator = "," if self._stream.tell() else ""
        text = f"{separator}\n  {dumps(result.image)}: {dumps(result.digest)}"
        try:
            self._stream.write(text.encode("utf-8", "backslashreplace"))
        except OSError as error:
            raise failed("the digests of the inputs cannot be kept in the folder for temporary files", error) from error

    def pieces(self) -> Iterator[bytes]:
        self._stream.seek(0)
        while piece := self._stream.read(_IN_MEMORY_BYTES):
            yield piece


@contextmanager
def _opened_inputs() -> Iterator[_Inputs]:
    with SpooledTemporaryFile(_IN_MEMORY_BYTES, prefix="isotherm-") as stream:
        yield _Inputs(stream)


def _run_json(report: Report, work: Mapping[str, Any], inputs: _Inputs, outputs: Mapping[str, str]) -> Iterator[bytes]:
    inspection = report.inspection
    text = dumps(
        {
            "title": inspection.title,
            "started_at": inspection.started_at,
            "totals": asdict(report.totals),
            "settings": inspection.settings,
            "model": inspection.model,
            "severity_table": inspection.severity_table,
            "versions": inspection.versions,
            **work,
            "inputs": {},
            "outputs": outputs,
        },
        indent=1,
    )
    # No text of a user can look like this: what breaks a line within a text is escaped.
    before, _, after = text.partition('\n "inputs": {}')
    yield _encoded(before + '\n "inputs": {')
    yield from inputs.pieces()
    yield _encoded("\n }" + after + "\n")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")
