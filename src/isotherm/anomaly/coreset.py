"""A small set of points that lies close to all points: greedy k-centre selection, exact and fast.

The greedy rule takes again and again the point that lies farthest from all points taken so far. Done literally that is
one pass over all N points for each of m steps. Here a batch of steps shares one pass: the K farthest points are looked
at together with the distances between them, and steps are taken among them alone for as long as the farthest of them is
farther than every other point was before the batch; distances only shrink, so no other point could have been taken.
Then one matrix product brings all distances up to date. The selection is the one of the literal rule (up to rounding
where two points are equally far).

References: T. Gonzalez, Clustering to minimize the maximum intercluster distance (1985); K. Roth et al., Towards total
recall in industrial anomaly detection (CVPR 2022), section 3.2.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int64

from isotherm.core.progress import Progress, silent

Points = Float32[np.ndarray, "N D"]
BATCH = 2048
"""How many of the farthest points are looked at together (K)."""
BLOCK = 4096
"""How many points are brought up to date at once, so that their distances stay in the processor's cache."""


def greedy_coreset(
    points: Points, count: int, *, start: int = 0, progress: Progress = silent, batch: int = BATCH
) -> Int64[np.ndarray, " M"]:
    """Select `count` points so that the largest distance of any point to its nearest selected one is small.

    Parameters
    ----------
    points
        (N D); best centred on their mean, for the accuracy of the distances.
    count
        How many to select; fewer come out where fewer differ.
    start
        Index of the first one.

    Returns
    -------
    array
        Indices in the order of selection.
    """
    selection = _Selection(points, start)
    while len(selection.chosen) < count and selection.step(count - len(selection.chosen), batch):
        progress(len(selection.chosen), count, "coreset")
    return np.asarray(selection.chosen, dtype=np.int64)


class _Selection:
    """What is selected so far, and each point's squared distance to the nearest selected one."""

    def __init__(self, points: Points, start: int) -> None:
        self.points = points
        self.squares = np.einsum("nd,nd->n", points, points)
        # Below this squared distance float32 cannot tell two points apart.
        self.same = 8 * float(np.finfo(np.float32).eps) * float(self.squares.max())
        self.chosen: list[int] = []
        self.distances = np.full(len(points), np.inf, dtype=np.float32)
        self._take([start])

    def step(self, limit: int, batch: int) -> bool:
        """Select between 1 and `limit` further points; returns False where no point is left that differs."""
        candidates, bound = self._farthest(batch)
        steps = self._greedy(candidates, bound, limit)
        if steps:
            self._take(steps)
        return bool(steps)

    def _farthest(self, batch: int) -> tuple[Int64[np.ndarray, " K"], float]:
        """Return the `batch` farthest points in index order, and the largest distance among all others."""
        if batch >= len(self.points):
            return np.arange(len(self.points)), 0.0
        order = np.argpartition(self.distances, len(self.points) - batch - 1)
        split = len(self.points) - batch
        return np.sort(order[split:]), float(self.distances[order[split - 1]])

    def _greedy(self, candidates: Int64[np.ndarray, " K"], bound: float, limit: int) -> list[int]:
        between = self._products(self.points[candidates], candidates.tolist())
        between += self.squares[candidates, None]
        distances = self.distances[candidates]
        steps: list[int] = []
        while len(steps) < limit:
            farthest = int(distances.argmax())
            if distances[farthest] <= self.same or (steps and distances[farthest] <= bound):
                break
            steps.append(int(candidates[farthest]))
            np.minimum(distances, between[farthest], out=distances)
            distances[farthest] = 0
        return steps

    def _take(self, steps: list[int]) -> None:
        for start in range(0, len(self.points), BLOCK):
            part = slice(start, start + BLOCK)
            nearest = self._products(self.points[part], steps).min(axis=1) + self.squares[part]
            np.minimum(self.distances[part], nearest, out=self.distances[part])
        self.chosen.extend(steps)
        # Rounding may leave a chosen point a tiny distance from itself.
        self.distances[steps] = 0

    def _products(self, points: Points, others: list[int]) -> Float32[np.ndarray, "N M"]:
        """Return squared distances to other points, less the squares of `points`, by one matrix product."""
        products: np.ndarray = points @ (-2 * self.points[others]).T
        products += self.squares[others]
        return products
