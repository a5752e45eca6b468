"""The row that says what was found in one picture; light, because the server's decoding children import it too."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from isotherm.core.errors import DataError
from isotherm.core.findings import AnomalyResult, Finding, ImageResult
from isotherm.core.scene import Param
from isotherm.core.thermogram import Thermogram
from isotherm.measurement.quality import finding_cautions
from isotherm.measurement.region_stats import stats_of
from isotherm.radiometry.uncertainty import standard_uncertainty_k, states_points
from isotherm.reports.content import CAUTION

Values = Float[np.ndarray, "H W"]


def known_values(thermogram: Thermogram) -> Values:
    """Return a picture's values; raises DataError where there is none to inspect."""
    values = thermogram.values()
    if not np.isfinite(values).any():
        raise DataError("no pixel of this image has a temperature (all are NaN or infinite): nothing to inspect")
    return values


def image_result(
    name: str,
    thermogram: Thermogram,
    *,
    values: Values,
    findings: tuple[Finding, ...],
    anomaly: AnomalyResult | None = None,
) -> ImageResult:
    """Return the row of a picture whose `values` and `findings` are known."""
    height, width = thermogram.size
    return ImageResult(
        image=name,
        status="ok",
        digest=thermogram.digest,
        height=height,
        width=width,
        radiometric=thermogram.radiometric,
        estimated=thermogram.estimated,
        uncertainty_k=_uncertainty_k(thermogram, _hottest(values), findings),
        temperatures=stats_of(values) if thermogram.radiometric else None,
        anomaly=anomaly,
        findings=findings,
        camera=thermogram.camera,
        scene=_honoured(thermogram),
        notes=(*thermogram.notes, *_cautions(thermogram, findings)),
        annotations=thermogram.annotations,
    )


def _uncertainty_k(thermogram: Thermogram, hottest: tuple[int, int], findings: tuple[Finding, ...]) -> float | None:
    """Return the standard uncertainty [K] of the highest temperature, which mostly is that of a finding."""
    known = next((finding for finding in findings if finding.region.peak == hottest and finding.temperatures), None)
    return standard_uncertainty_k(thermogram, hottest) if known is None else known.uncertainty_k


def _hottest(values: Values) -> tuple[int, int]:
    """Return (x, y) of the highest value; of the first pixel where there is none."""
    place = int(values.argmax())
    if not np.isfinite(values.flat[place]):
        # A NaN or an infinite value comes before all numbers.
        place = int(np.where(np.isfinite(values), values, -np.inf).argmax())
    y, x = divmod(place, values.shape[1])
    return x, y


def _cautions(thermogram: Thermogram, findings: tuple[Finding, ...]) -> Iterator[str]:
    """Return what should be known before the temperatures of these findings are believed, once a picture."""
    yield from (f"{CAUTION}{caution}" for caution in finding_cautions(thermogram, findings))
    if findings and thermogram.radiometric and not states_points(thermogram):
        yield "no ± is stated here: the maker's program would have to run for each parameter; isotherm measure does so"


def _honoured(thermogram: Thermogram) -> dict[str, Param]:
    """Return the scene's parameters that this file's temperatures depend on."""
    supports = thermogram.calibration.supports if thermogram.calibration else frozenset()
    return {name: param for name, param in thermogram.scene.params().items() if name in supports}
