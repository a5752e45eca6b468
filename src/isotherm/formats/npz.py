"""NumPy's NPZ: named arrays in a ZIP archive, such as ``isotherm convert`` writes."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np

from isotherm.core.errors import FormatError
from isotherm.core.thermogram import Thermogram
from isotherm.formats import zip_members
from isotherm.formats.arrays import NamedArray, chosen, table_among, thermogram_of
from isotherm.formats.cursor import Cursor
from isotherm.formats.npy_numbers import MAX_HEADER, Description, described, numbers, text
from isotherm.formats.npz_about import completed
from isotherm.formats.reader import MAX_PIXELS, FormatCard, ReadHints
from isotherm.formats.zip_members import Member, members, unpacked
from isotherm.radiometry.stored_estimates import StoredEstimates

_SUFFIX = ".npy"
_ABOUT = "about.npy"
_MOST_TEXT = 4 * 1024 * 1024
_MOST_ARRAYS = 256
_MOST_BYTES = 4 * MAX_PIXELS
"""Largest array that is unpacked [bytes]."""


class NpzReader:
    """Arrays by name: the one with the likeliest name (celsius, temperature, counts ...), then the largest."""

    name = "npz"
    card = FormatCard(
        makers="NumPy, isotherm",
        suffixes=".npz",
        numbers="°C or K as floats; counts with a step or a table; grey levels",
        evidence="documented",
        hints=("step", "offset", "unit"),
        frames=True,
        extras=("of isotherm's own: camera", "position", "scene", "sensor size"),
        source="NumPy NEP 1; PKWARE APPNOTE",
    )

    def recognises(self, data: bytes) -> bool:
        """Say whether these bytes begin like a ZIP archive whose first member is an NPY array."""
        length = int.from_bytes(data[26:28], "little")
        return data.startswith(zip_members.SIGNATURE) and data[30 : 30 + length].endswith(_SUFFIX.encode())

    def decode(self, data: bytes, hints: ReadHints) -> Thermogram:
        """Decode the likeliest array, or one frame of it; nothing is ever unpickled."""
        found = _arrays(data)
        arrays = [array for array, _ in found]
        choice = chosen(arrays, "NPZ")
        picture = choice.frame_of(_numbers(data, dict(found)[choice.array]), hints)
        table = table_among(arrays)
        levels = None if table is None else _numbers(data, dict(found)[table])
        thermogram = thermogram_of(picture, choice, hints, name=self.name, what="NPZ", table=levels)
        if choice.array.last != "celsius":
            return thermogram
        about = _about(data)
        return _as_marked(completed(thermogram, about), about)


def _about(data: bytes) -> dict[str, Any]:
    """Return what ``isotherm convert`` wrote beside the temperatures; empty where it did not."""
    found = next((member for member in members(data, "NPZ") if member.name == _ABOUT), None)
    if found is None:
        return {}
    try:
        about = json.loads(text(Cursor(unpacked(data, found, "NPZ", _MOST_TEXT), "<", f"NPZ: {_ABOUT}")))
    except (FormatError, ValueError, RecursionError):
        return {}
    return about if isinstance(about, dict) else {}


def _as_marked(thermogram: Thermogram, about: dict[str, Any]) -> Thermogram:
    """Return temperatures that were estimated when they were written as estimated ones again."""
    if about.get("estimated") is not True:
        return thermogram
    sigma = _sigma_k(about)
    known = "one typical uncertainty is kept for all pixels" if math.isfinite(sigma) else "how far off is not known"
    note = f"these temperatures were estimated, not measured, when the file was written; {known}"
    return replace(thermogram, calibration=StoredEstimates(sigma), notes=(*thermogram.notes, note))


def _sigma_k(about: dict[str, Any]) -> float:
    """Return the standard uncertainty [K] of stored estimates, NaN where it is not said.

    Files written before it stood at the top say it among the constants of the calibration.
    """
    calibration = about.get("calibration")
    older = calibration if isinstance(calibration, dict) else {}
    for sigma in (about.get("uncertainty_k"), older.get("sigma_k"), older.get("typical_sigma_k")):
        if isinstance(sigma, (int, float)) and not isinstance(sigma, bool) and 0 <= sigma < math.inf:
            return float(sigma)
    return math.nan


def _arrays(data: bytes) -> list[tuple[NamedArray, Member]]:
    """Return what the archive says about its arrays; what is no plain array is left out, unless all are."""
    found, wrong = [], []
    for member in members(data, "NPZ")[:_MOST_ARRAYS]:
        if member.name.endswith(_SUFFIX):
            try:
                about = _described(zip_members.beginning(data, member, "NPZ", MAX_HEADER + 12), member)
                found.append((NamedArray(member.name.removesuffix(_SUFFIX), about.shape, about.dtype), member))
            except FormatError as error:
                wrong.append(error)
    if wrong and not found:
        raise wrong[0]
    return found


def _described(raw: bytes, member: Member) -> Description:
    return described(Cursor(raw, "<", f"NPZ: {member.name}", origins=((0, member.offset),)))


def _numbers(data: bytes, member: Member) -> np.ndarray:
    raw = unpacked(data, member, "NPZ", _MOST_BYTES)
    return numbers(Cursor(raw, "<", f"NPZ: {member.name}", origins=((0, member.offset),)), _described(raw, member))


READER = NpzReader()
