"""Changes of maps and labels together, after which a label is as true as before.

Inputs are robust z (`isotherm.sequences.features`): 0 is the usual value of a map, 1 a robust standard deviation. What
is said of a change of values holds for each picture anew; pixels that are 0 in all channels hold no number and stay so.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from isotherm.segmentation.batch import Batch

MAX_TILT_DEG = 20.0
TILTED_SHARE = 0.5
"""Share of the pictures that is tilted and scaled: interpolation also smooths their noise."""
LOG_SCALE = 0.2
"""Largest change of size, as a logarithm."""
KEPT_SHARE = 0.99
"""Where a tilted pixel mixes in more than a hundredth of ignored ones it is ignored."""
LOG_GAIN = 0.3
NOISE = 0.3
FIELD = 1.0
"""Largest standard deviation of the smooth field: what is left over of uneven heating."""
FIELD_DEGREE = 3
BLURRED_SHARE = 0.25
MAX_BLUR_PX, BLUR_REACH_PX = 1.0, 3
DROPPED_SHARE = 0.2
"""Share of the pictures that lack one channel."""
FLIPPED_SHARE = 0.1
"""Share of the principal components that change their sign: it is fixed by their skewness, which noise can turn."""
_SIGN_FREE = "pct_"
_FRAMES = "frame_"


def augmented(batch: Batch, names: tuple[str, ...], generator: torch.Generator) -> Batch:
    """Return a batch that is mirrored, turned, tilted and scaled, its values changed.

    The truth is where at least half of a pixel was a defect, so that it is 0 or 1.

    Parameters
    ----------
    batch
        On the processor, like the generator.
    names
        Names of its C channels: those of principal components may change their sign, phases and derivatives not; all
        frames of a recording get the same gain and the same field, for their course in time is the signal.
    generator
        Decides all changes.
    """
    planes = moved(torch.cat([batch.inputs, batch.truth, batch.keep], 1), generator)
    inputs, truth, keep = planes[:, :-2], planes[:, -2:-1], planes[:, -1:]
    known = (inputs != 0).any(dim=1, keepdim=True)
    inputs = torch.where(known, revalued(inputs, names, generator), inputs)
    return Batch(inputs, (truth >= 0.5).float(), (keep > KEPT_SHARE).float())


def moved(planes: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return planes (N C H W) that are turned and tilted, all C of a picture alike."""
    return tilted(turned(planes, generator), generator)


def turned(planes: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return planes (N C H W) mirrored and turned by quarters, or where H and W differ by halves, without loss."""
    square = planes.shape[2] == planes.shape[3]
    quarters = torch.randint(0, 4, (len(planes),), generator=generator).tolist()
    mirrored = torch.randint(0, 2, (len(planes),), generator=generator).tolist()
    found = []
    for each, quarter, mirror in zip(planes, quarters, mirrored, strict=True):
        upright = each.flip(2) if mirror else each
        found.append(torch.rot90(upright, quarter if square else 2 * (quarter // 2), (1, 2)))
    return torch.stack(found)


def tilted(planes: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return planes (N C H W), half of the pictures tilted and scaled about their middle, the rims reflected."""
    chosen = _chance(len(planes), TILTED_SHARE, generator)
    angle = torch.deg2rad(_uniform(len(planes), MAX_TILT_DEG, generator))
    scale = torch.exp(_uniform(len(planes), LOG_SCALE, generator))
    if not chosen.any():
        return planes
    cosine, sine, zero = scale * torch.cos(angle), scale * torch.sin(angle), torch.zeros_like(angle)
    # Grid coordinates run from -1 to 1 along both sides, so a turn of an oblong picture needs its aspect.
    aspect = planes.shape[2] / planes.shape[3]
    rows = [torch.stack([cosine, -sine * aspect, zero], 1), torch.stack([sine / aspect, cosine, zero], 1)]
    grid = functional.affine_grid(torch.stack(rows, 1)[chosen], list(planes[chosen].shape), align_corners=False)
    found = planes.clone()
    found[chosen] = functional.grid_sample(
        planes[chosen], grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    return found


def revalued(inputs: torch.Tensor, names: tuple[str, ...], generator: torch.Generator) -> torch.Tensor:
    """Return inputs (N C H W) with other gains and signs, blur, noise, a smooth field, and some without a channel."""
    count, channels = inputs.shape[:2]
    over_time = all(name.startswith(_FRAMES) for name in names)
    own = (count, 1 if over_time else channels, 1, 1)
    field = smooth_field((count, own[1], *inputs.shape[2:]), generator)
    noise = torch.randn(inputs.shape, generator=generator) * (NOISE * torch.rand(own, generator=generator))
    gain = torch.exp(_uniform(own, LOG_GAIN, generator))
    values = blurred(inputs, generator) * gain * _signs(count, names, generator)
    return (values + noise + field) * _present(count, channels, generator)


def blurred(inputs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return inputs (N C H W), a quarter of the pictures under a Gaussian of up to 1 pixel, the rims repeated."""
    chosen = _chance(len(inputs), BLURRED_SHARE, generator)
    sigma = MAX_BLUR_PX * torch.rand(len(inputs), generator=generator)[chosen]
    if not chosen.any():
        return inputs
    places = torch.arange(-BLUR_REACH_PX, BLUR_REACH_PX + 1)
    taps = torch.exp(-0.5 * (places / sigma[:, None].clamp_min(0.1)) ** 2)
    taps = (taps / taps.sum(dim=1, keepdim=True)).repeat_interleave(inputs.shape[1], dim=0)[:, None]
    rows = inputs[chosen]
    wide = functional.pad(rows, [BLUR_REACH_PX] * 4, mode="replicate").flatten(0, 1)[None]
    down = functional.conv2d(wide, taps[..., None], groups=len(taps))
    found = inputs.clone()
    found[chosen] = functional.conv2d(down, taps[:, :, None], groups=len(taps)).reshape(rows.shape)
    return found


def smooth_field(size: tuple[int, int, int, int], generator: torch.Generator) -> torch.Tensor:
    """Return random polynomials of degree 3 in both directions (N C H W), mean 0, standard deviation up to 1.

    The form is that of MONAI's RandBiasField, which multiplies; what uneven heating leaves in standardised maps is
    added.
    """
    down, right = (
        torch.linspace(-1, 1, side)[:, None] ** torch.arange(FIELD_DEGREE + 1, dtype=torch.float32) for side in size[2:]
    )
    weights = torch.randn((*size[:2], FIELD_DEGREE + 1, FIELD_DEGREE + 1), generator=generator)
    field = down @ weights @ right.T
    field = field - field.mean(dim=(2, 3), keepdim=True)
    spread = field.std(dim=(2, 3), keepdim=True).clamp_min(1e-6)
    return field / spread * (FIELD * torch.rand((*size[:2], 1, 1), generator=generator))


def _signs(count: int, names: tuple[str, ...], generator: torch.Generator) -> torch.Tensor:
    """Return 1 or -1 for each channel (N C 1 1), 1 for those whose sign is physical."""
    free = torch.tensor([name.startswith(_SIGN_FREE) for name in names])
    flipped = _chance((count, len(names)), FLIPPED_SHARE, generator) & free
    return (1 - 2 * flipped.float())[:, :, None, None]


def _present(count: int, channels: int, generator: torch.Generator) -> torch.Tensor:
    """Return 0 for a channel that is left out, else 1 (N C 1 1); an only one never is."""
    lost = torch.randint(0, channels, (count,), generator=generator)
    lacking = _chance(count, DROPPED_SHARE, generator)
    gone = functional.one_hot(lost, channels).bool() & lacking[:, None] & (channels > 1)
    return (~gone).float()[:, :, None, None]


def _uniform(size: int | tuple[int, ...], limit: float, generator: torch.Generator) -> torch.Tensor:
    return (2 * torch.rand(size, generator=generator) - 1) * limit


def _chance(size: int | tuple[int, ...], share: float, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(size, generator=generator) < share
