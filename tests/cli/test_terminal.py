"""Names of files are written to a terminal so that it shows them and does not obey."""

from __future__ import annotations

from pathlib import Path

import pytest

from isotherm.cli import classify_predict, sequence_maps
from isotherm.workflows.classify_model import Classified
from isotherm.workflows.sequence_maps_batch import MapsRow

NASTY, SHOWN = "a\x1b[2J\u202eb\n.npy", "a\ufffd[2J\ufffdb\ufffd.npy"


def test_answers_and_recordings_are_told_by_harmless_names(capsys: pytest.CaptureFixture[str]) -> None:
    classify_predict._Seen(shown=True).see((NASTY, Classified.failed("damaged")))
    assert capsys.readouterr().out == f"{SHOWN}: failed: damaged\n"
    sequence_maps._tell([MapsRow(NASTY, "x", "done", 3), MapsRow(NASTY, "", "failed", reason="no\x07")], Path("out"))
    told = capsys.readouterr()
    assert told.out.startswith(f"{SHOWN}: 3 maps\n")
    assert told.err == f"{SHOWN}: no\ufffd\n"
