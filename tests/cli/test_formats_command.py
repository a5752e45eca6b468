"""``isotherm formats``."""

from __future__ import annotations

import json

import pytest

from isotherm.cli.formats import cards
from isotherm.cli.main import main
from isotherm.core.errors import FormatError
from isotherm.formats import FORMATS, read_bytes
from isotherm.formats.reader import ALL_PARAMETERS
from isotherm.formats.sequences import SEQUENCES

Capture = pytest.CaptureFixture[str]


def test_every_reader_is_listed_in_the_order_of_the_registries(capsys: Capture) -> None:
    assert main(["formats"]) == 0
    heads = [line.split()[0] for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    assert heads[: len(FORMATS.names())] == FORMATS.names()
    assert set(heads) == {*FORMATS.names(), *SEQUENCES.names()}


def test_one_format_is_shown_with_its_evidence_and_source(capsys: Capture) -> None:
    assert main(["formats", "tiff"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("tiff ")
    assert "documented: written from a specification" in text
    assert "source: TIFF 6.0" in text


def test_json_has_the_whole_cards(capsys: Capture) -> None:
    assert main(["formats", "flir", "csv", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["flir", "csv"]
    assert (found["flir"]["evidence"], found["flir"]["frames"]) == ("proven", True)
    assert found["csv"]["changeable"] == []


def test_an_unknown_format_is_named(capsys: Capture) -> None:
    assert main(["formats", "tif"]) == 2
    assert "did you mean 'tiff'?" in capsys.readouterr().err


@pytest.mark.parametrize("name", cards())
def test_cards_say_what_a_user_asks(name: str) -> None:
    card = cards()[name]
    assert card.makers
    assert card.numbers
    assert card.source
    assert all(suffix.startswith(".") for suffix in card.suffixes.split())
    assert set(card.changeable) <= set(ALL_PARAMETERS)


def test_what_a_format_needs_is_said_in_one_way() -> None:
    needs = {name: card.needs for name, card in cards().items() if "formats" in card.needs}
    assert needs == {"fluke": "extra formats (fluke-thermal-reader)", "telops": "extra formats (fasthcc)"}


def test_an_unknown_file_names_all_formats() -> None:
    with pytest.raises(FormatError, match=r"of no known format; known: flir, .*, picture, telops"):
        read_bytes(b"\0" * 100)
