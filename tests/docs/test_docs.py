"""The documentation is what the code says, and its examples run."""

from __future__ import annotations

import argparse
import re
import runpy
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from isotherm.cli.main import command_of, module_of

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
GENERATOR = runpy.run_path(str(ROOT / "docs" / "generate.py"))


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("name", GENERATOR["PAGES"])
def test_generated_pages_are_current(name: str) -> None:
    expected = GENERATOR["PAGES"][name]().rstrip("\n") + "\n"
    page = ROOT / "docs" / "reference" / name
    assert page.read_text(encoding="utf-8") == expected, "run `make docs-tables`"


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.name)
def test_python_examples_run(page: Path, tmp_path: Path) -> None:
    script = tmp_path / "example.py"
    script.write_text("\n".join(blocks(page, "python")), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def commands(page: Path) -> list[list[str]]:
    lines = [line for block in blocks(page, "console") for line in block.splitlines()]
    calls = [line.removeprefix("$ ") for line in lines if line.startswith("$ isotherm ")]
    return [shlex.split(call, comments=True)[1:] for call in calls]


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.name)
def test_console_examples_run(page: Path, tmp_path: Path) -> None:
    for call in commands(page):
        done = subprocess.run(
            [sys.executable, "-m", "isotherm", *call],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"isotherm {shlex.join(call)}\n{done.stderr}"


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "shell")], ids=lambda page: page.name)
def test_commands_with_placeholders_parse(page: Path) -> None:
    lines = [line for block in blocks(page, "shell") for line in block.splitlines()]
    calls = [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("isotherm ")]
    assert calls
    for call in calls:
        name = command_of(call)
        arguments = call[len(name.split()) :]
        parser = argparse.ArgumentParser()
        import_module(module_of(name)).add_arguments(parser, arguments)
        parser.parse_args(arguments)


def test_relative_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"
