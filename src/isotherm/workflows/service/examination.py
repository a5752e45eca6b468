"""What the server finds in one file that a stranger sent; runs in a child with limits, or in place.

All that must decode the bytes happens here, at once: the server gets numbers, texts and pictures that we encoded, and
where a model shall judge the picture, the values that it needs. Its imports are few, because each child has them.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar, get_args

import numpy as np

from isotherm.anomaly.inputs import visible
from isotherm.core.errors import ConfigError, FormatError, TooLargeError
from isotherm.core.findings import Finding, ImageResult
from isotherm.core.regions import Mask, Values
from isotherm.core.spans import span
from isotherm.core.thermogram import Thermogram
from isotherm.formats import FORMATS, dji_library, dji_program, read_bytes
from isotherm.formats.overlays import OverlayModel, find
from isotherm.formats.reader import MAX_FILE_BYTES
from isotherm.formats.tags import letters_of, tags_of
from isotherm.hotspots import HOTSPOT_METHODS
from isotherm.hotspots.measure import hot_regions
from isotherm.jobs.limited import Answer, LimitedPool, Limits
from isotherm.jobs.limited_process import DiedError
from isotherm.measurement.picture_numbers import picture_numbers
from isotherm.reports.plain import dumps, from_plain
from isotherm.reports.view_data import Looks, kind_of, view_data
from isotherm.workflows.image_result import image_result, known_values
from isotherm.workflows.service.examination_settings import ExaminationSettings
from isotherm.workflows.service.picture_values import packed_picture, received_picture
from isotherm.workflows.service.thumbnails import full_picture, thumbnail
from isotherm.workflows.service.watching import Decoded, Watch
from isotherm.workflows.visual import photo_of

_log = logging.getLogger(__name__)
__all__ = ["ExaminationSettings", "Examinations", "Examined", "Want", "examine"]

Want = Literal["thumbnail", "view", "picture", "plane", "fault", "values"]
"""What is asked for beside the findings.

``thumbnail``: a small picture; ``view``: JSON of the element ``<thermal-view>``; ``picture``: the whole picture with
its hot spots outlined; ``plane``: float32 °C or grey levels, little-endian, row by row, NaN where a pixel has none;
``fault``: what `isotherm.reports.document.pictures.unpacked` reads, for the page of a report; ``values``: what
`Examined.thermogram` needs.
"""
_MODULE = "isotherm.workflows.service.examination"
_RESULT = "result"
_LONGEST_TEXT = 2000
R = TypeVar("R")
REPORT_PLANE_PX = 320
"""Longest side of the temperatures that a report carries."""


@dataclass(frozen=True, eq=False)
class Examined:
    """What was found in one file.

    Parameters
    ----------
    facts
        What a gallery shows, plain: ``kind`` ("measured", "estimated" or "levels"), ``format``, ``width``, ``height``,
        ``min_c``, ``mean_c``, ``max_c`` [°C], ``max_delta_t_c`` [K] (None where not known), ``findings`` (their
        number), ``severity_rank`` (the worst; -1 where nothing is judged), ``grade`` and ``action`` of that verdict,
        ``camera``, ``taken_at`` (ISO 8601; UTC where the file knows its zone; else ""), ``digest`` (sha256),
        ``numbers`` (see `isotherm.measurement.picture_numbers`), ``position`` (latitude, longitude [deg]; None),
        ``tags`` (texts that may be the tag of an asset), ``letters`` (print that may be one: text and how sure its
        reader is), ``texts`` (those that stand in the file: ``source``, ``text``, ``label``, ``automatic``).
    packed
        The `ImageResult` as JSON.
    parts
        What was asked for, by its name in `Want`.
    values
        What goes with the parts of ``values``.
    """

    facts: dict[str, Any]
    packed: bytes = field(repr=False)
    parts: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    values: Mapping[str, Any] | None = None

    @cached_property
    def result(self) -> dict[str, Any]:
        """The plain `ImageResult`, as the database keeps it."""
        plain: dict[str, Any] = json.loads(self.packed)
        return plain

    def image_result(self) -> ImageResult:
        """Return the result as the reports want it."""
        return from_plain(ImageResult, self.result)

    def thermogram(self, site: str = "") -> Thermogram:
        """Return the picture for a model: same values, kind and colours; ``values`` must have been asked for."""
        if self.values is None:
            raise ConfigError("the values of this picture were not asked for")
        return received_picture(self.values, self.parts, site=site)


def examine(
    data: bytes,
    name: str,
    settings: ExaminationSettings | None = None,
    *,
    want: Sequence[Want] = ("thumbnail",),
    search: bool | Sequence[Finding] = True,
) -> Examined:
    """Read a file, find and judge its hot spots, and draw what is asked for.

    Parameters
    ----------
    data, name
        The file's bytes and its own name, which is shown and decides nothing.
    settings
        How it is read, searched and judged.
    want
        What is asked for beside the findings.
    search
        Whether hot spots are looked for; a classifier does not need them. What was found earlier takes their place, so
        that it is drawn as it was.

    Raises
    ------
    FormatError, TooLargeError
        The bytes are damaged, of no known format, or declare too much.
    DataError
        Nothing can be found in this picture: it has no values, or the settings do not fit it.
    """
    settings = settings or ExaminationSettings()
    # Damaged files hold numbers of any size; what cannot be computed with them becomes NaN, without a warning each.
    with np.errstate(all="ignore"):
        thermogram = _clean(read_bytes(data, settings.hints)).edited(settings.edit)
        values = known_values(thermogram)
        if isinstance(search, bool):
            findings = _findings(thermogram, values, settings) if search else ()
        else:
            findings = tuple(search)
        result = image_result(name, thermogram, values=values, findings=findings)
        parts, packed = _parts(thermogram, values, result, settings=settings, want=want)
        facts = _facts(thermogram, result) | {"numbers": picture_numbers(values)} | _place(thermogram, settings)
    return Examined(facts, _packed(result), parts, packed)


def decode(data: bytes, settings: ExaminationSettings | None = None) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Read a file for a model alone, and return what `received_picture` takes: nothing is searched, measured or drawn.

    Raises
    ------
    FormatError, TooLargeError
        The bytes are damaged, of no known format, or declare too much.
    DataError
        The picture has no values.
    """
    settings = settings or ExaminationSettings()
    with np.errstate(all="ignore"):
        plain, parts = packed_picture(read_bytes(data, settings.hints).edited(settings.edit))
        # Asked of what is sent, because there the temperatures are computed already.
        known_values(received_picture(plain, parts))
    return plain, parts


def _clean(thermogram: Thermogram) -> Thermogram:
    """Return a thermogram whose texts can be stored and shown: strangers' files hold NULs and worse."""
    camera = thermogram.camera
    camera = replace(
        camera,
        maker=_text(camera.maker),
        model=_text(camera.model),
        serial=_text(camera.serial),
        lens=_text(camera.lens),
        taken_at=_text(camera.taken_at),
    )
    return replace(thermogram, camera=camera, notes=tuple(_text(note) for note in thermogram.notes))


def _text(text: str) -> str:
    return "".join(part if part.isprintable() else "\N{REPLACEMENT CHARACTER}" for part in text[:_LONGEST_TEXT])


def _findings(thermogram: Thermogram, values: Values, settings: ExaminationSettings) -> tuple[Finding, ...]:
    findings, _ = hot_regions(
        thermogram,
        HOTSPOT_METHODS.get(settings.method),
        config=settings.hotspot_config(),
        settings=settings.hotspots,
        table=settings.table(),
        drawn=_drawn(thermogram, settings),
        values=values,
    )
    return findings


def _drawn(thermogram: Thermogram, settings: ExaminationSettings) -> Mask | None:
    if not settings.hotspots.without_overlays(thermogram):
        return None
    return find(visible(thermogram), OverlayModel.empty())


def _packed(result: ImageResult) -> bytes:
    try:
        return dumps(result).encode()
    except ValueError as error:
        raise FormatError(f"the file holds numbers that are no numbers ({error})") from error


def _facts(thermogram: Thermogram, result: ImageResult) -> dict[str, Any]:
    stats, worst = result.temperatures, _worst(result.findings)
    differences = [finding.delta_t_c for finding in result.findings if finding.delta_t_c is not None]
    verdict = worst.severity if worst else None
    return {
        "kind": kind_of(thermogram),
        "format": thermogram.format,
        "width": result.width,
        "height": result.height,
        "min_c": stats and stats.min_c,
        "mean_c": stats and stats.mean_c,
        "max_c": stats and stats.max_c,
        "max_delta_t_c": max(differences, default=None),
        "findings": len(result.findings),
        "severity_rank": verdict.rank if verdict and verdict.action else -1,
        "grade": (verdict and verdict.grade) or "",
        "action": verdict.action if verdict else "",
        "camera": " ".join(part for part in (result.camera.maker, result.camera.model) if part),
        "taken_at": _moment(result.camera.taken_at),
        "digest": result.digest,
    }


def _place(thermogram: Thermogram, settings: ExaminationSettings) -> dict[str, Any]:
    """Return what tells which asset a picture shows."""
    place = thermogram.position
    return {
        "position": None if place is None else [place.latitude_deg, place.longitude_deg],
        "tags": list(tags_of(thermogram, codes=settings.tags)),
        "letters": _letters(thermogram) if settings.letters else {},
        "texts": [asdict(annotation) for annotation in thermogram.annotations],
    }


def _letters(thermogram: Thermogram) -> dict[str, float]:
    """Return the print in a picture; nothing where reading it goes wrong, for the picture itself is read."""
    try:
        return letters_of(thermogram)
    except Exception as error:  # noqa: BLE001 (of several libraries)
        _log.warning("print was not read: %s", error)
        return {}


def _worst(findings: Sequence[Finding]) -> Finding | None:
    """Return the finding with the worst verdict, the first of equals."""
    judged = [finding for finding in findings if finding.severity and finding.severity.action]
    return max(judged, key=lambda finding: finding.severity.rank if finding.severity else -1, default=None)


def _moment(text: str) -> str:
    """Return a time as ISO 8601, in UTC where its zone is known; empty where it is none."""
    try:
        found = datetime.fromisoformat(text)
        return (found.astimezone(UTC) if found.tzinfo else found).isoformat()
    except (ValueError, OverflowError):
        return ""


def _parts(
    thermogram: Thermogram,
    values: Values,
    result: ImageResult,
    *,
    settings: ExaminationSettings,
    want: Sequence[Want],
) -> tuple[dict[str, bytes], dict[str, Any] | None]:
    """Return what is asked for, and what goes with ``values``."""
    parts, packed = dict[str, bytes](), None
    for item in want:
        match item:
            case "thumbnail":
                parts[item] = thumbnail(thermogram, values, palette=settings.palette)
            case "picture":
                parts[item] = full_picture(thermogram, values, result.findings, palette=settings.palette)
            case "plane":
                parts[item] = np.ascontiguousarray(values, "<f4").tobytes()
            case "view":
                parts[item] = _view(thermogram, result.image, settings)
            case "fault":
                parts[item] = _fault(thermogram, result, settings)
            case "values":
                packed, arrays = packed_picture(thermogram)
                parts.update(arrays)
            case _:
                raise ConfigError(f"unknown part {item!r}; known: {', '.join(get_args(Want))}")
    return parts, packed


def _view(thermogram: Thermogram, name: str, settings: ExaminationSettings) -> bytes:
    # Only the photo in the file: there is no folder to look in.
    photo, _ = photo_of(thermogram, Path())
    looks = Looks(palette=settings.palette if thermogram.radiometric else "grey", photo=photo)
    try:
        return json.dumps(view_data(name, thermogram, looks), allow_nan=False).encode("ascii")
    except ValueError as error:
        raise FormatError(f"the file holds numbers that are no numbers ({error})") from error


def _fault(thermogram: Thermogram, result: ImageResult, settings: ExaminationSettings) -> bytes:
    # Few files are shown in reports: children begin without what draws them.
    from isotherm.reports.document.pictures import BOX, Pictured, draw, packed

    photo, _ = photo_of(thermogram, Path(), least_px=BOX)
    return packed(draw(Pictured(result, thermogram, photo, settings.palette), plane_px=REPORT_PLANE_PX))


def examine_in_child(data: bytes, options: Mapping[str, Any]) -> Answer:
    """Call `examine`, or `decode` where nothing is said to be wanted, with plain options; what a child runs."""
    settings = _settings(options["settings"])
    if "want" not in options:
        return Answer(*decode(data, settings))
    search: bool | list[Finding] = options["search"]
    if not isinstance(search, bool):
        search = [from_plain(Finding, each) for each in options["search"]]
    found = examine(data, options["name"], settings, want=options["want"], search=search)
    return Answer({"facts": found.facts, "values": found.values}, {_RESULT: found.packed, **found.parts})


@lru_cache(maxsize=256)
def _settings(text: str) -> ExaminationSettings:
    return ExaminationSettings.from_mapping(json.loads(text))


def warm_up() -> None:
    """Import the readers and examine a small picture, so that the first file need not wait for that."""
    for _ in FORMATS:
        pass
    examine(_SMALL_CSV, "warm-up", want=("thumbnail", "view", "picture"))


_SMALL_CSV = "\n".join(",".join(f"{20 + (x == y == 9) * 40}.5" for x in range(16)) for y in range(16)).encode()


def _with_dji_reader(limits: Limits) -> tuple[Limits, dict[str, str]]:
    """Return the limits of children, and the variables that name the reader of DJI's files on this machine."""
    found = {dji_library.VARIABLE: dji_library.find(), dji_program.VARIABLE: dji_program.find()}
    named = {variable: path for variable, path in found.items() if path is not None}
    if not named:
        return limits, {dji_program.VARIABLE: dji_program.OFF}
    places = tuple(str(path.parent) for path in named.values())
    allowed = replace(limits, file_bytes=limits.file_bytes or MAX_FILE_BYTES, readable=(*limits.readable, *places))
    return allowed, {variable: str(path) for variable, path in named.items()}


class Examinations:
    """Children that examine files; for use from many threads.

    Parameters
    ----------
    children
        How many files are examined at once; 0 examines in this process, without any limit, as tests do.
    waiting
        How many more may wait before `BusyError`.
    limits
        What each child may use. Where this machine has a reader for DJI's own files, which is a program, the children
        may also start programs and write into folders of their own.
    watch
        Told of each file, and how long it took.
    """

    def __init__(
        self,
        children: int = 2,
        *,
        waiting: int = 32,
        limits: Limits | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._watch = watch or Watch()
        self.pool: LimitedPool | None = None
        if children:
            allowed, environment = _with_dji_reader(limits or Limits())
            self.pool = LimitedPool(
                f"{_MODULE}:examine_in_child",
                warm_up=f"{_MODULE}:warm_up",
                children=children,
                waiting=waiting,
                limits=allowed,
                environment=environment,
            )

    def examine(
        self,
        data: bytes,
        name: str,
        settings: ExaminationSettings | None = None,
        *,
        want: Sequence[Want] = ("thumbnail",),
        search: bool | Sequence[Finding] = True,
        timeout_s: float | None = None,
    ) -> Examined:
        """Have a file examined, and wait for it; see `examine` and `LimitedPool.submit` for what is raised."""
        settings = settings or ExaminationSettings()

        def work() -> tuple[str, Examined]:
            try:
                found = self._examined(data, name, settings, want=want, search=search, timeout_s=timeout_s)
            except (TooLargeError, DiedError):
                if not settings.letters:
                    raise
                # The reader of print needs much memory: a photo that is too much for it is taken in all the same.
                # (What cannot be read at all is not tried once more.)
                plain = replace(settings, letters=False)
                found = self._examined(data, name, plain, want=want, search=search, timeout_s=timeout_s)
            return found.facts["format"], found

        return self._told(data, name, work)

    def picture(self, data: bytes, name: str, settings: ExaminationSettings | None = None) -> Thermogram:
        """Have a file read for a model alone, and wait for it; see `decode` and `LimitedPool.submit` for the errors."""
        settings = settings or ExaminationSettings()

        def work() -> tuple[str, Thermogram]:
            found = received_picture(*self._decoded(data, settings))
            return found.format, found

        return self._told(data, name, work)

    def _told(self, data: bytes, name: str, work: Callable[[], tuple[str, R]]) -> R:
        """Return what comes of a file beside its format, and tell how long it took."""
        started = time.perf_counter()
        try:
            with span("decode", bytes=len(data)):
                kind, found = work()
        except Exception as error:
            self._watch.tell(Decoded(Path(name).suffix[1:].lower(), time.perf_counter() - started, error))
            raise
        self._watch.tell(Decoded(kind, time.perf_counter() - started))
        return found

    def _decoded(self, data: bytes, settings: ExaminationSettings) -> tuple[dict[str, Any], dict[str, bytes]]:
        if self.pool is None:
            return decode(data, settings)
        answer = self.pool.call(data, {"settings": dumps(settings.to_mapping())})
        return answer.values, answer.parts

    def _examined(
        self,
        data: bytes,
        name: str,
        settings: ExaminationSettings,
        *,
        want: Sequence[Want],
        search: bool | Sequence[Finding],
        timeout_s: float | None,
    ) -> Examined:
        if self.pool is None:
            return examine(data, name, settings, want=want, search=search)
        found = search if isinstance(search, bool) else json.loads(dumps(list(search)))
        options = {"name": name, "want": list(want), "search": found, "settings": dumps(settings.to_mapping())}
        answer = self.pool.call(data, options, timeout_s)
        parts = answer.parts
        return Examined(answer.values["facts"], parts.pop(_RESULT), parts, answer.values["values"])

    def close(self) -> None:
        """End the children."""
        if self.pool is not None:
            self.pool.close()

    def __enter__(self) -> Examinations:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
