"""What may be a name."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isotherm.core.errors import ConfigError
from isotherm.workflows.service.names import LONGEST_BYTES, check_name, file_name


@pytest.mark.parametrize("name", ["a", "plant 7", "Löt-Stelle", "絶縁体", "open.v2", "x" * 128, "CONTROL", "COM10"])
def test_names_that_people_use(name: str) -> None:
    assert check_name("site", name) == name


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("", "1 to 128 characters, not 0"),
        ("x" * 129, "1 to 128 characters, not 129"),
        ("..", "begin with a dot"),
        (".", "begin with a dot"),
        (".hidden", "begin with a dot"),
        ("a/b", "must not hold any of"),
        ("..\\b", "must not hold any of"),
        ("a:b", "must not hold any of"),
        ("<img onerror=x>", "must not hold any of"),
        ("a\0b", "invisible"),
        ("a\nb", "invisible"),
        ("user\u202egnp.exe", "invisible"),
        ("zero\u200bwidth", "invisible"),
        ("\ud800", "invisible"),
        (" a", "space"),
        ("a.", "dot"),
        ("NUL", "Windows"),
        ("con.txt", "Windows"),
        ("LPT¹", "Windows"),
        ("絶" * 100, f"at most {LONGEST_BYTES} bytes"),
    ],
)
def test_each_rule_is_named(name: str, rule: str) -> None:
    with pytest.raises(ConfigError, match=r"the name of the category") as raised:
        check_name("category", name)
    assert rule in str(raised.value)


@pytest.mark.parametrize("value", [None, 3, b"a", ["a"]])
def test_only_text_is_a_name(value: object) -> None:
    with pytest.raises(ConfigError, match="must be text"):
        check_name("site", value)


def test_composed_and_decomposed_letters_are_one_name() -> None:
    assert check_name("site", unicodedata.normalize("NFD", "Löten")) == "Löten"


@given(st.text(max_size=140) | st.text(st.sampled_from("./\\ aNULCON:\0\u200b"), max_size=12))
def test_a_name_that_passes_stays_below_any_folder(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    try:
        name = check_name("site", text)
    except ConfigError:
        return
    root = tmp_path_factory.getbasetemp()
    assert (root / name).resolve().parent == root.resolve()
    assert Path(name).parts == (name,)
    assert check_name("site", name) == name
    (root / name).touch()
    assert name in {unicodedata.normalize("NFC", path.name) for path in root.iterdir()}
    (root / name).unlink()


@given(st.text(max_size=700))
def test_names_of_files_are_kept_as_data(text: str) -> None:
    name = file_name(text)
    assert 1 <= len(name) <= 512
    assert "\0" not in name
    name.encode()


def test_a_file_keeps_the_name_it_came_with() -> None:
    assert file_name("photos/été <1>.JPG") == "photos/été <1>.JPG"
