"""``report.pdf``: set by typst from a template, tagged for screen readers (PDF/UA-1).

A report reaches its template as data in ``report.json``, never as source, and its pictures as files beside it, all in a
folder of its own: a template can read nothing else.
"""

from __future__ import annotations

import json
import re
import shutil
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from isotherm.core.errors import ConfigError, MissingExtraError, OutputError
from isotherm.core.scratch import scratch_folder
from isotherm.reports.document.content import Document, Figure
from isotherm.reports.document.fonts import MAIN, FontSet, fonts_for
from isotherm.reports.document.layout import (
    MOST_TEMPLATE_BYTES,
    UNKNOWN,
    Rendered,
    Template,
    TemplateError,
    check_built_in,
    shown_text,
    template_text,
    units_kept,
)
from isotherm.reports.document.plain_document import plain

STANDARD: Final = "ua-1"
_BESIDE = (".png", ".jpg", ".jpeg", ".svg", ".typ")
BREAK = "\N{ZERO WIDTH SPACE}"
_LONG, _JOINT = re.compile(r"\S{28,}"), re.compile(r"[/_\\\-.]")
"""Long names break behind what joins their words."""
_PLACE = re.compile(r"┌─ ([^\n]+?):(\d+):\d+")
_PACKAGE = re.compile(r"#?import\s+\"@")


@dataclass(frozen=True)
class TypstLayout:
    """The PDF."""

    name: str = "pdf"
    media_type: str = "application/pdf"
    template_suffixes: Sequence[str] = (".typ",)

    def template_files(self, name: str) -> Mapping[str, bytes]:
        """Return the template and the parts that it shares with the other."""
        return {f"{name}.typ": _own(f"{name}.typ").encode(), "parts.typ": _own("parts.typ").encode()}

    def render(self, document: Document, template: Template) -> Rendered:
        """Return the PDF; characters that no font has are replaced, and a note says so."""
        main = _main(template)
        fonts = fonts_for(_texts(document), template.fonts)
        _check_language(document, fonts)
        with scratch_folder() as scratch:
            folder = scratch / "report"
            folder.mkdir()
            _lay_out(folder, main, document, fonts, template.path)
            data = _compiled(folder, main[0], fonts, template.path)
        return Rendered(data, _notes(fonts))


def _main(template: Template) -> tuple[str, str]:
    """Return the name and the text of the template."""
    if template.path is None:
        name = f"{check_built_in(template.name)}.typ"
        return name, _own(name)
    text = template_text(template.path)
    if (number := _line_of_package(text)) is not None:
        raise TemplateError(template.path, "packages of the network are not fetched; copy what you need", number)
    return template.path.name, text


def _line_of_package(text: str) -> int | None:
    """Return the first line that would fetch something from the network."""
    return next((number for number, line in enumerate(text.splitlines(), start=1) if _PACKAGE.search(line)), None)


def _own(name: str) -> str:
    return (files("isotherm.reports.document") / "templates" / name).read_text(encoding="utf-8")


def _texts(document: Document) -> str:
    """Return all characters that a report sets."""
    found: set[str] = set()

    def collect(text: str) -> str:
        found.update(unicodedata.normalize("NFC", text))
        return text

    plain(document, lambda figure: [collect(figure.alt), collect(figure.caption)], collect)
    return "".join(found)


def _check_language(document: Document, fonts: FontSet) -> None:
    needed = "".join(sorted({letter for word in document.wording.words.values() for letter in word}))
    if lacking := set(needed) & set(fonts.missing):
        raise ConfigError(
            f"no font at hand has the characters of this language ({''.join(sorted(lacking))[:8]} ...): install one, "
            "such as Debian's fonts-noto-cjk, or name one with --fonts; HTML and DOCX use the reader's fonts and need "
            "none here"
        )


def _lay_out(folder: Path, main: tuple[str, str], document: Document, fonts: FontSet, path: Path | None) -> None:
    """Write all that the template reads into its folder."""
    (folder / "parts.typ").write_text(_own("parts.typ"), encoding="utf-8")
    if path is not None:
        # Parts of the user's own take the place of ours.
        _copy_beside(path, folder)
    (folder / main[0]).write_text(main[1], encoding="utf-8")
    (folder / "pictures").mkdir(exist_ok=True)
    data = plain(document, _Pictures(folder), _shown(fonts))
    data["document_title"] = f"{document.wording('report_kind')}: {document.title}"
    data["fonts"] = _families(fonts, document.wording.language)
    (folder / "report.json").write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")


def _copy_beside(path: Path, folder: Path) -> None:
    """Copy the pictures and parts that lie beside a user's template: its logo."""
    beside = [file for file in path.parent.iterdir() if file.suffix.lower() in _BESIDE and file.is_file()]
    if sum(file.stat().st_size for file in beside) > MOST_TEMPLATE_BYTES:
        raise TemplateError(path, f"what lies beside it has more than {MOST_TEMPLATE_BYTES} bytes; give it a folder")
    for file in beside:
        # A part that would fetch from the network is not there for the template; it may belong to another one.
        if file.suffix.lower() != ".typ" or _line_of_package(template_text(file)) is None:
            shutil.copyfile(file, folder / file.name)


@dataclass
class _Pictures:
    """Writes each picture once, under a number."""

    folder: Path
    count: int = 0

    def __call__(self, figure: Figure) -> dict[str, str]:
        self.count += 1
        name = f"pictures/{self.count}.{figure.kind}"
        (self.folder / name).write_bytes(figure.data)
        return {"file": name, "alt": figure.alt, "caption": figure.caption}


def _shown(fonts: FontSet) -> Callable[[str], str]:
    missing = frozenset(fonts.missing)

    def shown(text: str) -> str:
        letters = units_kept(shown_text(text, missing))
        return _LONG.sub(lambda word: _JOINT.sub(f"\\g<0>{BREAK}", word[0]), letters)

    return shown


def _families(fonts: FontSet, language: str) -> list[str]:
    """Return the families in their order; of one file's regional forms the language's own comes first."""
    form = {"zh": " SC"}.get(language, " JP")
    return sorted(fonts.families, key=lambda name: (name != MAIN, form not in name)) if fonts.fonts else [MAIN]


def _compiled(folder: Path, name: str, fonts: FontSet, path: Path | None) -> bytes:
    try:
        import typst
    except ModuleNotFoundError as error:
        raise MissingExtraError("a report as PDF", "pdf") from error
    try:
        found = typst.compile(
            folder / name,
            root=folder,
            font_paths=[*fonts.folders, _linked(folder.with_name("fonts"), fonts.files)],
            ignore_system_fonts=True,
            format="pdf",
            pdf_standards=[STANDARD],
            timestamp=0,
        )
    except RuntimeError as error:
        raise _explained(error, name, path) from error
    return bytes(found)


def _linked(folder: Path, files: Sequence[Path]) -> Path:
    """Return a folder with these fonts alone: typst reads every font of the folders that it is given."""
    folder.mkdir()
    for number, file in enumerate(files):
        place = folder / f"{number}-{file.name}"
        try:
            place.symlink_to(file.resolve())
        except OSError:
            # Windows lets not everybody make links.
            shutil.copyfile(file, place)
    return folder


def _explained(error: Any, name: str, path: Path | None) -> Exception:
    """Return what typst says against a user's template, with its line."""
    diagnostic = str(getattr(error, "diagnostic", error))
    reason = str(getattr(error, "message", error))
    if path is None:
        return OutputError(f"the report cannot be set: {diagnostic.strip()}")
    at = next((int(line) for file, line in _PLACE.findall(diagnostic) if Path(file).name == name), None)
    hints = "; ".join(getattr(error, "hints", ()))
    return TemplateError(path, f"{reason} ({hints})" if hints else reason, at)


def _notes(fonts: FontSet) -> tuple[str, ...]:
    missing = fonts.missing
    if not missing:
        return ()
    some = ", ".join(f"U+{ord(letter):04X}" for letter in missing[:5])
    return (f"{len(missing)} characters are in no font at hand and shown as {UNKNOWN} ({some}); see --fonts",)


LAYOUT = TypstLayout()
