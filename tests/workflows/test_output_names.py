from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.workflows.output_names import MAX_BYTES, output_names


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("IR_0326.jpg", "IR_0326"),
        ("site A/phase 1/IR_1.jpg", "site A__phase 1__IR_1"),
        ("Schaltschrank №7 温度.tiff", "Schaltschrank №7 温度"),
        ("readme", "readme"),
        ("a.b.c.jpg", "a.b.c"),
    ],
)
def test_ordinary_names_stay_as_they_are(name: str, expected: str) -> None:
    assert output_names([name]) == [expected]


@pytest.mark.parametrize(
    ("name", "begin"),
    [
        ("con.jpg", "con_-"),
        ("LPT1.tar.png", "LPT1.tar_-"),
        ("what?.jpg", "what_-"),
        ("two\nlines.jpg", "two_lines-"),
        (".hidden.jpg", "_hidden-"),
        ("dot..jpg", "dot_-"),
        ("x" * 200 + ".jpg", "x" * 120 + "-"),
        ("温" * 100 + ".jpg", "温" * 66 + "-"),
    ],
)
def test_what_a_file_system_would_refuse_is_replaced_and_marked(name: str, begin: str) -> None:
    (found,) = output_names([name])

    assert found.startswith(begin)
    assert len(found) == len(begin) + 8
    assert set(found[-8:]) <= set(string.hexdigits)


def test_shared_names_get_apart_and_others_do_not_change() -> None:
    names = output_names(["IMG.jpg", "IMG.png", "img.tiff", "a/IMG.jpg", "a__IMG.jpg", "other.jpg"])

    assert len({name.casefold() for name in names}) == 6
    assert all(name.startswith("IMG-") for name in names[:2])
    assert names[5] == "other"
    # The same file has the same name whatever stands beside it, as long as somebody shares it.
    assert output_names(["IMG.png", "IMG.jpg"]) == [names[1], names[0]]


path = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1), min_size=1, max_size=3)


@settings(deadline=None, max_examples=60)
@given(st.lists(path.map("/".join).filter(lambda name: name.strip("./")), unique=True, max_size=6))
def test_any_names_become_safe_and_unique(names: list[str]) -> None:
    found = output_names(names)

    assert len({name.casefold() for name in found}) == len(names)
    for name in found:
        assert name
        assert not set(name) & set('<>:"/\\|?*\0\r\n\t')
        assert name[0] not in ". "
        assert name[-1] not in ". "
        assert len(name.encode()) <= MAX_BYTES + 10
    assert found == output_names(names)
