"""Many images through one graph: order, neighbours, threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from isotherm.core.errors import ModelError
from isotherm.core.processes import cores
from isotherm.runtime.compiled import Compiled


def doubling(threads: int | None = None) -> Compiled:
    images = ops.parameter([1, 3, 4, 4], np.float32)
    doubled = ops.multiply(images, ops.constant(np.float32(2)))
    return Compiled(ov.Model([ops.result(doubled), ops.result(images)], [images]), "f32", threads)


def pictures(count: int) -> np.ndarray:
    return np.arange(count * 48, dtype=np.float32).reshape(count, 3, 4, 4)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 17])
def test_order(count: int) -> None:
    given = pictures(count)
    found = list(doubling().run(given))
    assert len(found) == count
    for image, (doubled, same) in zip(given, found, strict=True):
        assert np.array_equal(doubled, 2 * image)
        assert np.array_equal(same, image)


def test_results_stay_what_they_were() -> None:
    graph = doubling(threads=1)
    (first,) = graph.run(pictures(1))
    kept = first[0].copy()
    list(graph.run(pictures(5) + 100))
    assert np.array_equal(first[0], kept)


def test_a_run_can_be_left_early_and_the_graph_used_again() -> None:
    graph = doubling()
    assert len(list(islice(graph.run(pictures(20)), 2))) == 2
    assert np.array_equal(next(iter(graph.run(pictures(3))))[0], 2 * pictures(1)[0])


def test_several_threads() -> None:
    graph = doubling()

    def work(offset: int) -> bool:
        given = pictures(30) + 1000 * offset
        return all(np.array_equal(found[0], 2 * image) for image, found in zip(given, graph.run(given), strict=True))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(8)))


def test_views_that_are_not_contiguous() -> None:
    given = pictures(2)[..., ::-1]
    assert np.array_equal(list(doubling().run(given))[1][0], 2 * given[1])


def test_a_picture_of_another_size_is_refused() -> None:
    with pytest.raises(ModelError, match=r"must have the shape \(3, 4, 4\), not \(3, 8, 8\)"):
        list(doubling().run(np.zeros((1, 3, 8, 8), np.float32)))


def test_cores() -> None:
    assert cores() >= 1
