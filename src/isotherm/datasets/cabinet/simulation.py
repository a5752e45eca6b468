"""One picture of the cabinet, healthy or with a fault, with the truth about it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float32

from isotherm.core.errors import ConfigError
from isotherm.datasets.cabinet.camera import Pose, draw_pose, reading, record, signal, view
from isotherm.datasets.cabinet.electrics import Conditions, Fault, draw_conditions, draw_fault, with_fault
from isotherm.datasets.cabinet.geometry import RATINGS_A, Cabinet, build_cabinet
from isotherm.datasets.cabinet.heat import Grid, solve

MASK_K, MASK_SHARE = 1.0, 0.2
"""A pixel belongs to the fault where the fault changes its true temperature by more than this [K], and by more than
this share of the largest change: a grave fault warms half the cabinet a little."""
AIR_K_W = 0.03
"""Rise of the air inside the open cabinet over the room, at half height, for each watt of loss [K/W]."""
AIR_LAYERS = 0.4
"""The air's rise at the top is 1 + this times that at half height, at the bottom 1 - this."""

Picture = Float32[np.ndarray, "h w"]


@dataclass(frozen=True, eq=False)
class CabinetShot:
    """One picture and the truth about it.

    Parameters
    ----------
    celsius
        (240 320) float32: what the camera shows [°C], with its emissivity setting, optics and noise.
    true_c
        (240 320) float32: the true temperature of the surface before each pixel [°C].
    healthy_c
        The same without the fault: same seed, same load, same pose.
    mask
        (240 320): where the fault is: the two differ by more than `MASK_K`, and by more than `MASK_SHARE` of the
        largest difference.
    fault
        None for a healthy cabinet.
    load, ambient_c
        Fraction of the rated currents before the fault; temperature of the room, which is also what surfaces reflect
        [°C].
    pose
        Where the camera stood.
    """

    celsius: Picture
    true_c: Picture
    healthy_c: Picture
    mask: Bool[np.ndarray, "h w"]
    fault: Fault | None
    load: float
    ambient_c: float
    pose: Pose

    @property
    def kind(self) -> str:
        """The fault's kind, or ``good``."""
        return self.fault.kind if self.fault else "good"

    @property
    def delta_t_c(self) -> float:
        """The largest rise of true temperature that the fault makes [K]; 0 for a healthy cabinet."""
        return float((self.true_c - self.healthy_c).max())

    @property
    def peak(self) -> tuple[int, int] | None:
        """The (x, y) of that rise; None for a healthy cabinet."""
        if self.fault is None:
            return None
        y, x = divmod(int((self.true_c - self.healthy_c).argmax()), self.true_c.shape[1])
        return x, y


def simulate_cabinet(
    seed: int, fault: str | None = None, *, severity: float | None = None, load: float | None = None
) -> CabinetShot:
    """Simulate one inspection of the cabinet.

    Parameters
    ----------
    seed
        Decides everything that is random. Load, ambient, contacts, pose and noise do not depend on the fault, so the
        same seed without a fault gives the healthy twin.
    fault
        None, or one of `FAULT_KINDS`: loose_joint, overload, imbalance.
    severity
        0 (slight) to 1 (grave); drawn evenly where it is not given.
    load
        Fraction of the rated currents, 0 to 1; drawn evenly from 0.3 to 1 where it is not given.

    Raises
    ------
    UnknownNameError
        No such fault.
    ConfigError
        A number is out of its range.
    """
    if seed < 0:
        raise ConfigError(f"seed must be 0 or more, not {seed}")
    if load is not None and not 0 <= load <= 1:
        raise ConfigError(f"load must be from 0 to 1, not {load:g}")
    state_rng, fault_rng, pose_rng, camera_rng = np.random.default_rng(seed).spawn(4)
    cabinet = build_cabinet()
    healthy = draw_conditions(cabinet, state_rng, load)
    found = None if fault is None else draw_fault(fault, healthy, fault_rng, severity)
    pose = draw_pose(pose_rng)
    sound = _warm(cabinet, healthy)
    warm = sound if found is None else _warm(cabinet, with_fault(cabinet, healthy, found), start_c=sound.body_c)
    true_c, healthy_c = view(warm.surface_c(cabinet), pose), view(sound.surface_c(cabinet), pose)
    before = view(signal(warm.surface_c(cabinet), cabinet.emissivity, healthy.ambient_c), pose)
    celsius = reading(record(before, healthy.ambient_c, camera_rng), healthy.ambient_c)
    return CabinetShot(
        celsius=celsius,
        true_c=true_c,
        healthy_c=healthy_c,
        mask=_mask(true_c - healthy_c),
        fault=found,
        load=healthy.load,
        ambient_c=healthy.ambient_c,
        pose=pose,
    )


def _mask(change_k: Picture) -> Bool[np.ndarray, "h w"]:
    size = np.abs(change_k)
    return np.asarray(size > max(MASK_K, MASK_SHARE * float(size.max())))


@dataclass(frozen=True, eq=False)
class _Warm:
    """Temperatures of the bodies and of the air before them [°C]."""

    body_c: Grid
    air_c: Grid

    def surface_c(self, cabinet: Cabinet) -> Grid:
        surface_c: Grid = self.air_c + cabinet.seen * (self.body_c - self.air_c)
        return surface_c


def _warm(cabinet: Cabinet, conditions: Conditions, start_c: Grid | None = None) -> _Warm:
    source_w = cabinet.source_w(conditions.amperes, conditions.ohm_factors)
    watts = float(source_w.sum())
    layers = np.linspace(1 + AIR_LAYERS, 1 - AIR_LAYERS, source_w.shape[0])
    rows_c = (conditions.ambient_c + AIR_K_W * watts * layers).astype(np.float32)
    air_c = np.repeat(rows_c[:, None], source_w.shape[1], axis=1)
    if start_c is None:
        nominal_w, nominal_k = _nominal_rise()
        start_c = air_c + nominal_k * np.float32(watts / nominal_w)
    return _Warm(solve(cabinet.sheets, source_w, air_c, start_c), air_c)


@lru_cache(maxsize=1)
def _nominal_rise() -> tuple[float, Grid]:
    """Return the loss [W] and the rise over the air [K] at 70 % load: a good guess for every other load."""
    cabinet = build_cabinet()
    amperes = 0.7 * np.repeat(np.array(RATINGS_A, np.float64), 3)
    source_w = cabinet.source_w(amperes, np.ones(len(cabinet.elements)))
    air_c = np.full(source_w.shape, 25, np.float32)
    return float(source_w.sum()), solve(cabinet.sheets, source_w, air_c, air_c + 5) - air_c
