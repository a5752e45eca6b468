"""What was found: one `Finding` type for rules, models and people, and the `Inspection` that gathers them."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Literal, overload

from isotherm.core.capture import Annotation
from isotherm.core.scene import Param
from isotherm.core.shapes import Box
from isotherm.core.thermogram import Camera

Status = Literal["ok", "failed"]
Prediction = Literal["Normal", "Anomaly"]


@dataclass(frozen=True)
class TemperatureStats:
    """Statistics over a region or a picture [°C]; pixels without a temperature are left out."""

    min_c: float
    max_c: float
    mean_c: float
    std_c: float


class Contour(Sequence[tuple[float, float]]):
    """Points (x, y) [px] in a few bytes each, because a run keeps all its findings until the reports are written.

    The coordinates are held as 32-bit floats, which are exact for the half pixels of outlines.
    """

    __slots__ = ("_numbers",)

    def __init__(self, points: Iterable[Sequence[float]] = ()) -> None:
        self._numbers = array("f", chain.from_iterable(points))

    def __len__(self) -> int:
        return len(self._numbers) // 2

    @overload
    def __getitem__(self, index: int) -> tuple[float, float]: ...
    @overload
    def __getitem__(self, index: slice) -> Contour: ...
    def __getitem__(self, index: int | slice) -> tuple[float, float] | Contour:
        numbers = self._numbers
        if isinstance(index, slice):
            return Contour((numbers[2 * i], numbers[2 * i + 1]) for i in range(len(self))[index])
        place = 2 * range(len(self))[index]
        return numbers[place], numbers[place + 1]

    def __iter__(self) -> Iterator[tuple[float, float]]:
        numbers = iter(self._numbers)
        return zip(numbers, numbers, strict=True)

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, (Contour, tuple)) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Contour({list(self)})"


@dataclass(frozen=True)
class Region:
    """A connected set of pixels.

    ``contour`` holds the outer outline as (x, y) in pixel coordinates (pixel centres at whole numbers), without holes;
    ``peak`` is the (x, y) of the highest value; ``area_mm2`` is known only where the optics are.
    """

    area_px: int
    box: Box
    peak: tuple[int, int]
    contour: Contour = field(default_factory=Contour)
    area_mm2: float | None = None


@dataclass(frozen=True)
class Verdict:
    """What a severity table says about one temperature difference.

    ``grade`` is the table's own class ("1" ...), None where the table does not apply, and then ``reason`` says why.
    ``rank`` orders verdicts of one table: 0 is nothing to do, higher is worse. ``edition`` and ``source`` say whose
    numbers they are, ``inputs`` holds the numbers that the verdict rests on by name (with the unit in the name).
    """

    table: str
    grade: str | None
    rank: int
    action: str
    reason: str = ""
    edition: str = ""
    source: str = ""
    inputs: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """Something at a place in a picture that deserves attention, whoever found it.

    ``origin`` is the name of the hotspot method, anomaly method or person. Temperatures and ``delta_t_c`` (over
    ``reference``, in words, at ``reference_c``) are None where the picture holds none. ``uncertainty_k`` and
    ``delta_t_uncertainty_k`` are the standard uncertainties (k = 1) of the highest temperature and of ``delta_t_c``,
    None where none can be stated.
    """

    kind: Literal["hotspot", "anomaly"]
    origin: str
    region: Region
    temperatures: TemperatureStats | None = None
    delta_t_c: float | None = None
    reference: str = ""
    reference_c: float | None = None
    severity: Verdict | None = None
    score: float | None = None
    uncertainty_k: float | None = None
    delta_t_uncertainty_k: float | None = None


@dataclass(frozen=True)
class AnomalyResult:
    """What a detector says about a whole picture.

    ``score`` is the raw distance, never clamped; ``percentile`` the percentage (0..100) of held-out normals that score
    lower.
    """

    score: float
    percentile: float
    threshold: float
    prediction: Prediction
    area_px: int


@dataclass(frozen=True)
class ImageResult:
    """One row of an inspection: one input file, read or not.

    ``estimated`` says that the temperatures were read back from colours; ``uncertainty_k`` is the standard uncertainty
    (k = 1) of the highest temperature [K].
    """

    image: str
    status: Status
    error: str = ""
    digest: str = ""
    height: int = 0
    width: int = 0
    radiometric: bool = False
    estimated: bool = False
    uncertainty_k: float | None = None
    temperatures: TemperatureStats | None = None
    anomaly: AnomalyResult | None = None
    findings: tuple[Finding, ...] = ()
    camera: Camera = field(default_factory=Camera)
    scene: dict[str, Param] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    panel: str = ""
    mask: str = ""
    annotations: tuple[Annotation, ...] = ()

    @property
    def hotspots(self) -> list[Finding]:
        """The findings that a hotspot method made, hottest first."""
        return [finding for finding in self.findings if finding.kind == "hotspot"]

    @property
    def texts(self) -> list[Annotation]:
        """What people wrote into the file: its annotations without those that the camera writes into every file."""
        return [annotation for annotation in self.annotations if not annotation.automatic]


@dataclass(frozen=True)
class Inspection:
    """Everything one run found, in input order, with what is needed to repeat and to judge it.

    Many results are not in memory: they are read again each time that they are gone through.
    """

    results: Sequence[ImageResult]
    title: str
    started_at: str
    settings: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] | None = None
    severity_table: dict[str, Any] | None = None
    versions: dict[str, str] = field(default_factory=dict)
    timings_s: dict[str, float] = field(default_factory=dict)
