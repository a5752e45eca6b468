"""The seam of layouts: a report in, a file out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from isotherm.core.errors import ConfigError, UsageError
from isotherm.reports.document.content import Document

MOST_TEMPLATE_BYTES = 50_000_000
BUILT_IN = ("standard", "brief")
UNKNOWN = "\N{REPLACEMENT CHARACTER}"
_UNIT = re.compile(r"(?<=\d) (?=[°K%])")


@dataclass(frozen=True)
class Template:
    """What a layout follows: a built-in one by its name, or a user's file.

    Parameters
    ----------
    name
        A name of `BUILT_IN`.
    path
        The user's file, in place of a built-in one.
    fonts
        Font files or folders that the user names, for PDF.
    """

    name: str = "standard"
    path: Path | None = None
    fonts: tuple[Path, ...] = ()

    @property
    def is_brief(self) -> bool:
        """Whether it is the built-in one that shows no picture."""
        return self.path is None and self.name == "brief"


@dataclass(frozen=True)
class Rendered:
    """A report as a file, and what should be said of it, one sentence each."""

    data: bytes = field(repr=False)
    notes: tuple[str, ...] = ()


@runtime_checkable
class Layout(Protocol):
    """Sets a report in one file format; it decides nothing about the content."""

    name: str
    media_type: str

    @property
    def template_suffixes(self) -> Sequence[str]:
        """What a user's template of this layout is called; empty where it follows none."""
        ...

    def template_files(self, name: str) -> Mapping[str, bytes]:
        """Return the files of a built-in template, the template first; empty where the layout follows none."""
        ...

    def render(self, document: Document, template: Template) -> Rendered:
        """Return the whole file; the same report gives the same bytes.

        Raises
        ------
        TemplateError
            The user's template is wrong; the message says in which line.
        """
        ...


class TemplateError(UsageError):
    """A user's template is wrong.

    Parameters
    ----------
    path
        The template.
    reason
        What is wrong.
    line
        Where, from 1; None where no line is to blame.
    """

    def __init__(self, path: Path, reason: str, line: int | None = None) -> None:
        where = f"template {path}" if line is None else f"template {path}, line {line}"
        shown = f"\n  {line} | {text}" if line is not None and (text := _line(path, line)) else ""
        super().__init__(f"{where}: {reason}{shown}\nWithout --template, the built-in one is used.")
        self.path, self.line = path, line


def _line(path: Path, number: int) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return lines[number - 1].strip()[:160] if 0 < number <= len(lines) else ""


def template_text(path: Path) -> str:
    """Return the text of a user's template; raises TemplateError where there is none."""
    try:
        if path.stat().st_size > MOST_TEMPLATE_BYTES:
            raise TemplateError(path, f"a template has at most {MOST_TEMPLATE_BYTES} bytes")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise TemplateError(path, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TemplateError(path, f"not UTF-8 text (byte {error.start})") from error


def shown_text(text: str, missing: frozenset[str] = frozenset()) -> str:
    """Return a text as a page can show it: every blank a space, `UNKNOWN` for controls and for what no font has."""
    letters = unicodedata.normalize("NFC", text).replace("\r\n", "\n")
    if letters.isprintable() and missing.isdisjoint(letters):
        return letters
    return "".join(_shown_letter(letter, missing) for letter in letters)


def _shown_letter(letter: str, missing: frozenset[str]) -> str:
    if letter == "\n" or (letter.isprintable() and letter not in missing):
        return letter
    return " " if letter == "\t" or unicodedata.category(letter) == "Zs" else UNKNOWN


def units_kept(text: str) -> str:
    """Return a text in which no line ends between a number and its unit, or within ``(k = 2)``."""
    return _UNIT.sub("\N{NO-BREAK SPACE}", text).replace("k = 2", "k\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}2")


def check_built_in(name: str) -> str:
    """Return the name of a built-in template; raises ConfigError for another."""
    if name not in BUILT_IN:
        raise ConfigError(f"a template is {' or '.join(BUILT_IN)}, or a file of your own; not {name!r}")
    return name
