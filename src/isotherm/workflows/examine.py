"""One picture: measured, compared with a model, and drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from isotherm.anomaly.inputs import visible
from isotherm.core.files import npz_of
from isotherm.core.findings import Finding, ImageResult
from isotherm.core.thermogram import Thermogram
from isotherm.formats.overlays import OverlayModel, find
from isotherm.hotspots.measure import HotspotSettings, hot_regions
from isotherm.hotspots.method import HotspotMethod
from isotherm.measurement.severity import SeverityTable
from isotherm.reports.content import facts
from isotherm.reports.drawing import Span
from isotherm.reports.panels import Expectation, View, draw_panel
from isotherm.reports.png import encode_png
from isotherm.workflows.anomaly_findings import map_at, regions, verdict
from isotherm.workflows.image_result import image_result, known_values
from isotherm.workflows.models import Scored, TrainedModel
from isotherm.workflows.run_place import RunPlace

_REFERENCES = {"autoencoder": "Reconstruction", "padim": "Mean normal", "patchcore": "Nearest normal"}


@dataclass(frozen=True, eq=False)
class Examination:
    """What was found in one picture, with what is needed to draw it."""

    result: ImageResult
    values: Float[np.ndarray, "H W"]
    mask: Bool[np.ndarray, "H W"]
    expectation: Expectation | None


@dataclass(frozen=True, eq=False)
class Examiner:
    """Measures and draws pictures, all in the same way.

    Parameters
    ----------
    method, config
        The hotspot method and its settings.
    hotspots, table
        Clean-up and reference of delta-T; the severity table, or None.
    model
        The model that scored the pictures, or None.
    """

    method: HotspotMethod
    config: Any
    hotspots: HotspotSettings
    table: SeverityTable | None
    model: TrainedModel | None

    def examine(self, name: str, thermogram: Thermogram, scored: Scored | None) -> Examination:
        """Measure hotspots and, where the picture was scored, anomalies.

        Raises
        ------
        DataError
            The picture holds no value, the hotspot rule cannot be applied to it, or its score is not a number.
        """
        values = known_values(thermogram)
        drawn = self._drawn(thermogram)
        findings, hot = hot_regions(
            thermogram,
            self.method,
            config=self.config,
            settings=self.hotspots,
            table=self.table,
            drawn=drawn,
            values=values,
        )
        anomaly, expectation, mask = None, None, hot
        if scored is not None:
            # What is warm in a picture that looks normal is normal: with a model, only its anomalies are judged.
            findings = _unjudged(findings)
            expectation = self._expectation(scored, thermogram)
            mask = expectation.map > expectation.threshold
            if drawn is not None and self.model is not None and self.model.inputs.overlays is not None:
                # A model that was told to read what is drawn may say so.
                mask &= ~drawn
            assert self.model is not None
            anomaly = verdict(self.model, scored, mask)
            found = regions(self.model, thermogram, expectation.map, mask, settings=self.hotspots, table=self.table)
            findings += found if scored.anomalous else _unjudged(found)
        result = image_result(name, thermogram, values=values, findings=findings, anomaly=anomaly)
        return Examination(result, values, mask, expectation)

    def _drawn(self, thermogram: Thermogram) -> Bool[np.ndarray, "H W"] | None:
        """Return where something is drawn into the picture; None where that is not asked."""
        if not self.hotspots.without_overlays(thermogram):
            return None
        known = self.model.inputs.overlays if self.model is not None else None
        return find(visible(thermogram), known or OverlayModel.empty())

    def _expectation(self, scored: Scored, thermogram: Thermogram) -> Expectation:
        assert self.model is not None
        return Expectation(
            map=map_at(self.model, scored, thermogram.size),
            threshold=self.model.calibration.pixel_threshold,
            reference=scored.reference,
            reference_name=_REFERENCES.get(self.model.method, "Expected"),
        )


def _unjudged(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    return tuple(replace(finding, severity=None) for finding in findings)


@dataclass(frozen=True)
class PictureFiles:
    """Writes the pictures of one input to the place of a run."""

    place: RunPlace
    panels: bool
    maps: bool
    span: Span | None = None
    palette: str = "iron"

    def write(self, name: str, examination: Examination, thermogram: Thermogram) -> ImageResult:
        """Write mask, panel and map as asked for, and return the result with their places in it."""
        result = replace(examination.result, mask=f"masks/{name}.png")
        self.place.write(result.mask, encode_png(examination.mask.view(np.uint8) * np.uint8(255)))
        if self.panels:
            result = replace(result, panel=f"panels/{name}.png")
            self.place.write(result.panel, draw_panel(self._view(examination, thermogram)))
        if self.maps and (arrays := _arrays(examination, thermogram)):
            self.place.write(f"maps/{name}.npz", npz_of(arrays))
        return result

    def _view(self, examination: Examination, thermogram: Thermogram) -> View:
        result = examination.result
        view = View(
            title=result.image,
            facts=facts(result),
            values=examination.values,
            radiometric=result.radiometric,
            mask=examination.mask,
            colour=thermogram.colour,
            findings=result.findings,
            expectation=examination.expectation,
            span=self.span,
            palette=self.palette,
        )
        return _stretched(view) if thermogram.deep else view


def _stretched(view: View) -> View:
    """Spread grey levels of more than 8 bits over what can be shown: a camera may use a small part of 16 bits only."""
    span = Span.of(view.values, least=0.1)
    values, expectation = span.bytes(view.values).astype(np.float32), view.expectation
    if expectation is not None and expectation.reference is not None:
        shown = np.stack([span.bytes(plane) for plane in expectation.reference]).astype(np.float32)
        expectation = replace(expectation, reference=shown)
    return replace(view, values=values, expectation=expectation)


def _arrays(examination: Examination, thermogram: Thermogram) -> dict[str, Any]:
    arrays: dict[str, Any] = {}
    if examination.expectation is not None:
        arrays["anomaly_map"] = examination.expectation.map
    if thermogram.radiometric:
        arrays["celsius"] = examination.values
    return arrays
