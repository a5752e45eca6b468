from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from isotherm.core import registry
from isotherm.core.errors import MissingExtraError, UnknownNameError
from isotherm.core.registry import Registry, Row


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Registry:
    plugins = [
        EntryPoint("theirs", "json:dumps", "isotherm.test_kind"),
        EntryPoint("first", "json:load", "isotherm.test_kind"),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: plugins if group == "isotherm.test_kind" else [])
    return Registry(
        "test kind",
        Row("first", "math:sqrt", "a row"),
        Row("second", "math:floor", "another row"),
        Row("extra", "no_such_package.module:thing", "needs more", extra="train"),
        Row("broken", "isotherm.no_such_module:thing", "a mistake of ours", extra="train"),
    )


def test_names_keep_the_tables_order_and_plugins_come_last(table: Registry) -> None:
    assert table.names() == ["first", "second", "extra", "broken", "theirs"]
    assert [row.name for row in table.rows()] == table.names()


def test_rows_are_imported_when_they_are_asked_for(table: Registry) -> None:
    import json
    import math

    assert table.get("second") is math.floor
    assert table.get("theirs") is json.dumps
    # A built-in row wins over a plug-in of its name.
    assert table.get("first") is math.sqrt
    assert table.row("theirs").summary.startswith("plug-in from")


def test_unknown_names_list_the_known_ones(table: Registry) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown test kind 'frist' \(did you mean 'first'\?\); known: broken"):
        table.get("frist")


def test_a_missing_extra_is_named_and_our_own_mistakes_are_not_hidden(table: Registry) -> None:
    with pytest.raises(MissingExtraError, match=r"isotherm\[train\]"):
        table.get("extra")
    with pytest.raises(ModuleNotFoundError):
        table.get("broken")


def test_iterating_imports_every_row(monkeypatch: pytest.MonkeyPatch) -> None:
    import math

    monkeypatch.setattr(registry, "entry_points", lambda group: [])
    assert list(Registry("kind", Row("a", "math:sin", ""), Row("b", "math:cos", ""))) == [math.sin, math.cos]
