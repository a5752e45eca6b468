"""How far an image is from what is normal at its site: score, regions that stand out, and a map to lay over it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32, UInt8

from isotherm.core.errors import DataError, NotFoundError, one_line
from isotherm.core.spans import span
from isotherm.reports.plain import dumps
from isotherm.reports.png import encode_png
from isotherm.store.tables import Image, Inspection, ModelVersion, Site
from isotherm.workflows.service.access import Actor, fetch
from isotherm.workflows.service.models import active_detector, load_detector
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.watching import Predicted

if TYPE_CHECKING:
    from isotherm.core.thermogram import Thermogram
    from isotherm.workflows.models import Scored, TrainedModel

MOST_REGIONS = 100
"""So many of an image are kept, those with the highest scores."""
Map = Float32[np.ndarray, "H W"]


@dataclass(frozen=True)
class Standing:
    """What the anomaly model of a site says of an image.

    Parameters
    ----------
    model_id
        The version that has scored it.
    result
        A plain `isotherm.core.findings.AnomalyResult`; None where it could not be scored, and then `error` says why.
    findings
        Plain findings: the regions that stand out. Those of an image whose score is no anomaly are left out.
    """

    model_id: str
    result: Mapping[str, Any] | None = None
    findings: tuple[Mapping[str, Any], ...] = ()
    error: str = ""

    @property
    def score(self) -> float | None:
        """The score, in the method's own unit."""
        return None if self.result is None else self.result["score"]

    @property
    def anomalous(self) -> bool | None:
        """Whether it is above the model's threshold."""
        return None if self.result is None else self.result["prediction"] == "Anomaly"


@dataclass(frozen=True, eq=False)
class Detector:
    """An anomaly model version and what it is in memory."""

    version: ModelVersion
    model: TrainedModel

    def stands(self, service: Service, picture: Thermogram) -> Standing:
        """Return how a picture stands; one that the model cannot score, as it has no temperatures, has its reason."""
        started = time.perf_counter()
        try:
            with span("score", method=self.version.method):
                found = self._stands(picture)
        except DataError as error:
            found = Standing(self.version.id, error=one_line(error))
        service.watch.tell(Predicted(self.version.method, 1, time.perf_counter() - started))
        return found

    def _stands(self, picture: Thermogram) -> Standing:
        from isotherm.workflows.anomaly_findings import map_at, regions, verdict

        scored = self.scored(picture)
        values = map_at(self.model, scored, picture.size)
        mask = values > self.model.calibration.pixel_threshold
        said = _plain(verdict(self.model, scored, mask))
        if not scored.anomalous:
            return Standing(self.version.id, said)
        # Rules judge temperatures; that something is unusual says nothing of how urgent it is.
        found = regions(self.model, picture, values, mask)
        strangest = sorted(found, key=lambda finding: -(finding.score or 0.0))[:MOST_REGIONS]
        return Standing(self.version.id, said, tuple(_plain(finding) for finding in strangest))

    def scored(self, picture: Thermogram) -> Scored:
        """Return what the model says of a picture; raises DataError where it cannot score it."""
        (found,) = self.model.judge([self.model.prepare(picture)])
        return found


def _plain(value: object) -> dict[str, Any]:
    """Return a dataclass as the database keeps it."""
    plain: dict[str, Any] = json.loads(dumps(value))
    return plain


def detector_of(service: Service, site: Site | None) -> Detector | None:
    """Return the anomaly model that is at work at a site; None where there is none."""
    if site is None or site.active_anomaly_model is None:
        return None
    found = active_detector(service, site.id)
    return None if found is None else Detector(*found)


def heatmap(service: Service, actor: Actor, image_id: str) -> bytes:
    """Return the map of an image's latest score as a PNG to be laid over the picture; see `coloured`.

    It is computed again by the version that gave the score, from the same file and the same settings.

    Raises
    ------
    NotFoundError
        No anomaly model has scored the latest inspection of the image.
    DataError
        The settings of the site were changed so that the model cannot score the image any more.
    """
    from isotherm.workflows.anomaly_findings import map_at
    from isotherm.workflows.service.looking import edit_of, examination_settings
    from isotherm.workflows.service.sites import settings_of

    with service.database.read() as session:
        image = fetch(session, actor, Image, image_id)
        latest = image.latest_inspection and session.get(Inspection, image.latest_inspection)
        version = session.get(ModelVersion, latest.anomaly_model_id) if latest and latest.score is not None else None
        site = image.site_id and session.get(Site, image.site_id)
    if version is None or not site:
        raise NotFoundError("score of this image")
    with service.taking():
        settings = examination_settings(settings_of(site), edit_of(image))
        picture = service.examinations.picture(service.blobs.read(image.digest), image.name, settings)
        detector = Detector(version, load_detector(service, version))
        values = map_at(detector.model, detector.scored(picture), picture.size)
    return encode_png(coloured(values, *ends_of(detector.model)))


def ends_of(model: TrainedModel) -> tuple[float, float]:
    """Return where the colours of a map begin and where they are full.

    They begin at the largest value that the map of a usual normal image has (the median of those held out); halfway
    lies the limit above which a pixel stands out.
    """
    limit, usual = model.calibration.pixel_threshold, model.calibration.map_yardstick()
    low = min(usual.centre, limit - 1e-3 * abs(limit))
    return low, low + 2 * max(limit - low, usual.spread)


_COLOURS = np.array([[64, 224, 208], [255, 255, 255], [255, 0, 200]], np.float32)
"""Faint, at the limit, far above it: none of them is a colour of the thermal palettes."""
_OPAQUE, _STEPS = 200, 1024


def _shades() -> UInt8[np.ndarray, "N 4"]:
    """Return the colours from the low end to the high one."""
    share = np.linspace(0.0, 1.0, _STEPS)
    stops = np.linspace(0.0, 1.0, len(_COLOURS))
    channels = [np.interp(share, stops, _COLOURS[:, channel]) for channel in range(3)]
    return np.stack([*channels, _OPAQUE * np.sqrt(share)], axis=-1).round().astype(np.uint8)


def coloured(values: Map, low: float, high: float) -> UInt8[np.ndarray, "H W 4"]:
    """Return a map as red, green, blue and opacity: nothing up to `low`, all of it from `high` on."""
    share = np.clip((values - np.float32(low)) / np.float32(max(high - low, 1e-12)), 0.0, 1.0)
    # A table of shades: the channels of a large picture as 64-bit numbers would take a hundred bytes a pixel.
    shades: UInt8[np.ndarray, "H W 4"] = _shades()[np.rint(share * (_STEPS - 1)).astype(np.uint16)]
    return shades
