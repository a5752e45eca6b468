"""A report as plain values, for templates and for programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

from isotherm.reports.document.content import Document, Figure

FIRST = 16
"""Faults that the page of the summary lists."""


def plain(document: Document, figure: Callable[[Figure], Any], text: Callable[[str], str] = str) -> dict[str, Any]:
    """Return a report as mappings, lists, numbers and texts.

    Parameters
    ----------
    document
        The report.
    figure
        What stands for a picture.
    text
        What becomes of each text.
    """
    wording = document.wording
    found = {name: _plain(value, figure, text) for name, value in vars(document).items() if name != "wording"}
    return found | {
        "language": wording.language,
        "words": {key: text(word) for key, word in wording.words.items()},
        "kind": text(wording("report_kind")),
        "more_faults": text(wording("and_more", count=len(document.faults) - FIRST)),
    }


def _plain(value: Any, figure: Callable[[Figure], Any], text: Callable[[str], str]) -> Any:
    if isinstance(value, Figure):
        return figure(value)
    if isinstance(value, str):
        return text(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item, figure, text) for item in value]
    members = {item.name: getattr(value, item.name) for item in fields(value)} if is_dataclass(value) else value
    if isinstance(members, dict):
        return {name: _plain(item, figure, text) for name, item in members.items()}
    return value
