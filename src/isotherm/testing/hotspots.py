"""The conformance check of hotspot methods."""

from __future__ import annotations

from dataclasses import is_dataclass

import numpy as np

from isotherm.core.config import from_mapping, settings_of, to_mapping
from isotherm.hotspots.method import HotspotMethod, Mask, Values
from isotherm.testing.promises import require


def check_hotspot_method(method: HotspotMethod) -> None:
    """Check that a hotspot method keeps the seam's promises, with its default settings.

    Run it in the tests of your package. It looks at the name, at the configuration (all defaults, a help line for each
    setting, through plain values and back) and at masks of small made-up pictures: shape and type, the same mask twice,
    input left alone, NaN never hot, pictures that are flat, empty of values, or one pixel large.

    Raises
    ------
    AssertionError
        A promise is broken; the message says which.
    """
    require(isinstance(method, HotspotMethod), "it must have name, config_type and find")
    require(method.name == method.name.lower().strip() != "", "its name must be lower-case and not empty")
    _check_config(method.config_type)
    for name, values in _pictures().items():
        _check_masks(method, name, values)
    flat = _mask(method, np.full((12, 16), 21.5, dtype=np.float32))
    require(bool(flat.all()) or not flat.any(), "in a flat picture all pixels must be hot, or none")


def _check_config(config_type: type) -> None:
    require(is_dataclass(config_type), "config_type must be a dataclass")
    config = config_type()
    for item in settings_of(config_type):
        require(bool(item.text), f"the setting {item.name} must have a help line")
    require(
        from_mapping(config_type, to_mapping(config)) == config, "the configuration must survive plain values and back"
    )


def _pictures() -> dict[str, Values]:
    rng = np.random.default_rng(0)
    warm = rng.normal(25, 2, (24, 32)).astype(np.float32)
    warm[5:10, 20:26] += 60
    holes = warm.copy()
    holes[4:8, 18:22] = np.nan
    holes[0, 0], holes[0, 1] = np.inf, -np.inf
    return {
        "an ordinary picture": warm,
        "a picture with NaN": holes,
        "a picture of NaN alone": np.full((6, 8), np.nan, dtype=np.float32),
        "one pixel": np.full((1, 1), 25, dtype=np.float32),
        "one row": warm[7:8],
        "every second column": warm[:, ::2],
    }


def _check_masks(method: HotspotMethod, name: str, values: Values) -> None:
    before = values.copy()
    first = _mask(method, values)
    require(np.array_equal(values, before, equal_nan=True), f"{name}: find must not change its input")
    require(np.array_equal(first, _mask(method, values)), f"{name}: find must give the same mask twice")
    require(not first[~np.isfinite(values)].any(), f"{name}: pixels without a finite value are never hot")


def _mask(method: HotspotMethod, values: Values) -> Mask:
    mask = method.find(values, method.config_type())
    require(isinstance(mask, np.ndarray) and mask.dtype == np.bool_, "find must return a bool array")
    require(mask.shape == values.shape, f"find must return the shape of its input, {values.shape}, not {mask.shape}")
    return mask
