"""The peer where there is no anomalib: PatchCore and PaDiM as they are written down, in plain float32 torch.

One image at a time: decode, resize to 256 x 256, features, distances, map at the input's size, dense Gaussian blur.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "runtime"))
import lite_torch

SIZE, SIGMA = 256, 4.0
STRIDES = {"patchcore": (8, 16), "padim": (4, 8, 16)}


class Eager:
    """One of the two methods; `fit` with few images is enough to time predicting."""

    def __init__(self, method: str) -> None:
        torch.set_num_threads(1)
        self.method, self.network = method, lite_torch.load(0)
        reach = int(4 * SIGMA + 0.5)
        line = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / SIGMA) ** 2)
        self.kernel = (line[:, None] * line / line.sum() ** 2)[None, None]

    @torch.inference_mode()
    def cells(self, path: Path) -> torch.Tensor:
        """Return the joined features (P D) of one file."""
        picture = np.array(Image.open(path).convert("RGB"))
        pixels = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
        pixels = functional.interpolate(pixels, (SIZE, SIZE), mode="bilinear", antialias=True)
        maps = self.network.features(pixels, STRIDES[self.method])
        if self.method == "patchcore":
            maps = [functional.avg_pool2d(each, 3, 1, 1) for each in maps]
        maps = [functional.interpolate(each, maps[0].shape[2:], mode="bilinear") for each in maps]
        return torch.cat(maps, 1)[0].flatten(1).T

    @torch.inference_mode()
    def fit(self, files: list[Path], rows: int = 2048, features: int = 100) -> None:
        """Keep a bank of random cells, or a Gaussian for each cell."""
        cells = torch.stack([self.cells(path) for path in files])
        generator = torch.Generator().manual_seed(0)
        if self.method == "patchcore":
            every = cells.flatten(0, 1)
            self.bank = every[torch.randperm(len(every), generator=generator)[:rows]]
            return
        self.kept = torch.randperm(cells.shape[2], generator=generator)[:features]
        cells = cells[..., self.kept]
        self.mean = cells.mean(0)
        centred = cells - self.mean
        covariance = torch.einsum("npi,npj->pij", centred, centred) / len(files) + 0.01 * torch.eye(features)
        # Batched `inv` of matrices of this size can hang with two threads; the Cholesky factor does not.
        self.inverse = torch.cholesky_inverse(torch.linalg.cholesky(covariance))

    @torch.inference_mode()
    def score(self, path: Path) -> float:
        """Return the score of one file; the map is made too."""
        cells = self.cells(path)
        if self.method == "patchcore":
            distances = torch.cdist(cells, self.bank).min(1).values
        else:
            delta = cells[:, self.kept] - self.mean
            distances = torch.einsum("pi,pij,pj->p", delta, self.inverse, delta).sqrt()
        side = int(len(distances) ** 0.5)
        values = functional.interpolate(distances.reshape(1, 1, side, side), (SIZE, SIZE), mode="bilinear")
        reach = self.kernel.shape[-1] // 2
        values = functional.conv2d(functional.pad(values, [reach] * 4, mode="reflect"), self.kernel)
        return float(values.max())


def greedy(points: np.ndarray, count: int, start: int, steps: int | None = None) -> tuple[list[int], float]:
    """Select greedily with one pass over all points a step; returns the rows and the CPU-seconds of one step.

    With `steps` only so many are done.
    """
    values = torch.from_numpy(points)
    distances, taken, chosen = torch.full((len(values),), torch.inf), start, [start]
    begun = time.process_time()
    for _ in range((steps or count) - 1):
        distances = torch.minimum(distances, (values - values[taken]).norm(dim=1))
        taken = int(distances.argmax())
        chosen.append(taken)
    return chosen, (time.process_time() - begun) / max(1, len(chosen) - 1)
