"""Compiled templates are kept between processes, and are never older than what they were made of."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from jinja2 import Environment, TemplateNotFound

from isotherm.server.pages.template_files import TemplateFiles


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    (tmp_path / "settings.py").write_text("")
    (tmp_path / "page.html.j2").write_text("{{ name }}: 20 °C")
    return tmp_path


def drawn(folder: Path) -> tuple[str, int]:
    """Return a page as a new process draws it, and how many templates were compiled for it."""
    environment, compiled = Environment(loader=TemplateFiles(folder, folder / "settings.py"), autoescape=True), []
    compile_one = environment.compile
    environment.compile = lambda *given, **named: compiled.append(given) or compile_one(*given, **named)  # type: ignore[method-assign, func-returns-value]
    return environment.get_template("page.html.j2").render(name="<b>"), len(compiled)


def test_the_next_process_does_not_compile_again(folder: Path) -> None:
    assert [drawn(folder), drawn(folder)] == [("&lt;b&gt;: 20 °C", 1), ("&lt;b&gt;: 20 °C", 0)]


def test_what_was_compiled_holds_where_an_image_keeps_whole_seconds(folder: Path) -> None:
    for name in ("page.html.j2", "settings.py"):
        os.utime(folder / name, (0, 1_000_000_000.75))
    assert drawn(folder)[1] == 1
    for name in ("page.html.j2", "settings.py"):
        os.utime(folder / name, (0, 1_000_000_000))
    assert drawn(folder)[1] == 0


@pytest.mark.parametrize("name", ["page.html.j2", "settings.py"])
def test_what_is_newer_is_compiled_again(folder: Path, name: str) -> None:
    drawn(folder)
    changed = folder / name
    changed.write_text(changed.read_text() + " ")
    os.utime(changed, (0, changed.stat().st_mtime + 2))
    assert drawn(folder)[1] == 1


def test_where_nothing_can_be_written_pages_are_drawn_all_the_same(folder: Path) -> None:
    (folder / "__pycache__").write_text("a file, so that no folder of that name can be made, by root neither")
    assert [drawn(folder), drawn(folder)] == [("&lt;b&gt;: 20 °C", 1)] * 2


def test_a_compiled_file_that_is_none_is_made_again(folder: Path) -> None:
    drawn(folder)
    (kept,) = (folder / "__pycache__").iterdir()
    kept.write_bytes(b"no code")
    assert [drawn(folder)[1], drawn(folder)[1]] == [1, 0]


def test_nothing_is_written_where_python_shall_write_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert drawn(folder)[0] == "&lt;b&gt;: 20 °C"
    assert not (folder / "__pycache__").exists()


def test_a_template_that_there_is_not_is_named(folder: Path) -> None:
    with pytest.raises(TemplateNotFound, match="other"):
        Environment(loader=TemplateFiles(folder, folder / "settings.py"), autoescape=True).get_template("other.html.j2")
