"""A whole simulated recording of a plate: cold frames, heating, cooling, as the camera stores them, with the truth."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt16

from isotherm.core.config import setting, validate
from isotherm.core.errors import ConfigError
from isotherm.core.files import write_whole
from isotherm.core.progress import Progress, silent
from isotherm.datasets.plate_camera import PlateCamera, record
from isotherm.datasets.plate_heat import Clock, Profile, Steps, surface_rise
from isotherm.datasets.plate_heating import Heating, Pulse
from isotherm.datasets.plates import Plate, PlateTruth

ZERO_CELSIUS_K = 273.15


@dataclass(frozen=True)
class Recording:
    """How long and how fast is recorded. The heating starts between the last cold frame and the first warm one."""

    frames: int = setting(200, "frames after the start of the heating", low=1, high=100_000)
    frame_rate_hz: float = setting(20.0, "frames a second [Hz]", low=0.001, high=100_000.0)
    cold_frames: int = setting(10, "frames before the heating", low=0, high=10_000)
    lag: float = setting(0.5, "time from the heating's start to the next frame, in intervals", low=0.01, high=1.0)
    ambient_c: float = setting(20.0, "temperature of plate and room before the heating [°C]", low=-100.0, high=500.0)

    def __post_init__(self) -> None:
        validate(self)

    @property
    def frame_s(self) -> float:
        """Time between frames [s]."""
        return 1 / self.frame_rate_hz

    @property
    def start_s(self) -> float:
        """When the heating starts, on the clock of `times_s`; without cold frames it is before 0."""
        return (self.cold_frames - self.lag) * self.frame_s

    @property
    def times_s(self) -> Float64[np.ndarray, " T"]:
        """Time of each frame, 0 for the first [s]."""
        return np.asarray(np.arange(self.cold_frames + self.frames) * self.frame_s)


@dataclass(frozen=True, eq=False)
class SimulatedSequence:
    """A recording of a plate and the truth about it.

    Parameters
    ----------
    counts
        (T H W) what the camera stores.
    lookup_k
        The temperature of each count [K].
    times_s
        Time of each frame, 0 for the first [s].
    heating_start_s, heating_end_s
        When the heating starts and ends on that clock [s]; lock-in heating ends with the last frame.
    lit
        (T) frames during which the lamp is on.
    plate, seed
        What was simulated.
    """

    counts: UInt16[np.ndarray, "T H W"]
    lookup_k: Float64[np.ndarray, " L"]
    times_s: Float64[np.ndarray, " T"]
    heating_start_s: float
    heating_end_s: float
    lit: Bool[np.ndarray, " T"]
    plate: Plate
    seed: int

    @cached_property
    def truth(self) -> PlateTruth:
        """Masks and depths of the defects."""
        return self.plate.truth()

    def kelvin(self) -> Float32[np.ndarray, "T H W"]:
        """Return the temperatures that the camera shows [K]."""
        return np.asarray(self.lookup_k.astype(np.float32)[self.counts])


def heating_profile(
    size_px: tuple[int, int], *, edge: float = 1.0, centre: tuple[float, float] = (0.5, 0.5)
) -> Profile:
    """Return how strongly a lamp heats each pixel (H W): 1 at its centre, `edge` at the farthest corner's distance.

    Parameters
    ----------
    edge
        Relative strength half a diagonal from the centre; 1 for even heating.
    centre
        Where the lamp points, as shares of the plate's width and height.

    Raises
    ------
    ConfigError
        `edge` is not above 0 and at most 1.
    """
    if not 0 < edge <= 1:
        raise ConfigError(f"heating: the strength at the edge must be above 0 and at most 1, not {edge:g}")
    rows, columns = size_px
    right = (np.arange(columns) + 0.5) - centre[0] * columns
    down = (np.arange(rows) + 0.5) - centre[1] * rows
    distance = (down[:, None] ** 2 + right[None, :] ** 2) / (rows**2 + columns**2) * 4
    return np.asarray(edge**distance, np.float32)


@dataclass(frozen=True)
class Experiment:
    """How a plate is heated and recorded.

    Parameters
    ----------
    edge, centre
        How even the heating is, see `heating_profile`.
    """

    heating: Heating = field(default_factory=Pulse)
    recording: Recording = field(default_factory=Recording)
    camera: PlateCamera = field(default_factory=PlateCamera)
    steps: Steps = field(default_factory=Steps)
    edge: float = 1.0
    centre: tuple[float, float] = (0.5, 0.5)


def simulate_plate(
    plate: Plate, experiment: Experiment | None = None, *, seed: int = 0, progress: Progress = silent
) -> SimulatedSequence:
    """Simulate one recording of a plate.

    Parameters
    ----------
    seed
        Decides the camera's noise and patterns; all else is as asked.

    Raises
    ------
    ConfigError
        Something does not fit; the message says what.
    """
    if seed < 0:
        raise ConfigError(f"seed must be 0 or more, not {seed}")
    how = experiment or Experiment()
    recording, frame_s = how.recording, how.recording.frame_s
    profile = heating_profile(plate.size_px, edge=how.edge, centre=how.centre)
    clock = Clock(recording.frames, frame_s, recording.lag * frame_s)
    heated = surface_rise(plate, how.heating, profile, clock, steps=how.steps, progress=progress)
    cold = np.zeros((recording.cold_frames, *plate.size_px), np.float32)
    since_s = np.round(recording.times_s - recording.start_s, 9)
    # A frame shows the lamp where any of the interval before it does.
    lit = (since_s > 0) & (since_s - frame_s < how.heating.ends_s)
    rng = np.random.default_rng(seed)
    counts = record(np.concatenate([cold, heated]), lit, how.camera, frame_s=frame_s, rng=rng)
    lookup_k = how.camera.lookup_k(recording.ambient_c + ZERO_CELSIUS_K)
    times_s, start_s = recording.times_s, recording.start_s
    end_s = min(start_s + how.heating.ends_s, float(times_s[-1]))
    return SimulatedSequence(counts, lookup_k, times_s, start_s, end_s, lit, plate, seed)


def write_sequence(path: Path, made: SimulatedSequence) -> None:
    """Write a recording and its truth as an NPZ that `ThermalSequence.open` reads, and maps instead of loading.

    ``counts`` (T H W), ``lookup_table`` [K], ``times_s``, ``excitation`` (T, 1 while the lamp is on), ``heat_start_s``
    and ``heat_end_s``, ``mask`` (H W, 0 and 255), ``labels`` (H W, the number of the defect), ``depth_mm`` (H W, NaN
    where sound), ``about`` (JSON).

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    about = {
        "simulated": True,
        "heating_start_s": made.heating_start_s,
        "seed": made.seed,
        "plate": asdict(made.plate),
        "kinds": [defect.kind for defect in made.plate.defects],
    }
    stream = io.BytesIO()
    np.savez(
        stream,
        counts=made.counts,
        lookup_table=made.lookup_k,
        times_s=made.times_s,
        heat_start_s=np.float64(made.heating_start_s),
        heat_end_s=np.float64(made.heating_end_s),
        excitation=made.lit.astype(np.float32),
        mask=made.truth.mask.astype(np.uint8) * 255,
        labels=made.truth.labels,
        depth_mm=made.truth.depth_mm,
        about=np.array(json.dumps(about)),
    )
    write_whole(path, stream.getvalue())
