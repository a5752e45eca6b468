from __future__ import annotations

from conftest import long_ones_first

FILES = ["a", "a", "a", "b", "b", "c", "c", "d", "d", "d"]
SLOW = [name in ("a2", "b3", "b4", "d9") for name in (f"{file}{at}" for at, file in enumerate(FILES))]


def test_each_worker_begins_with_its_share_and_a_file_stays_together() -> None:
    # Parts of 3, 3 and 4: the slow one of "a", those of "b", and that of "d".
    assert long_ones_first(FILES, SLOW, 3) == [2, 0, 1, 3, 4, 5, 9, 6, 7, 8]


def test_nothing_is_left_out_whatever_there_is() -> None:
    for slow in ([False] * 10, [True] * 10, SLOW):
        for workers in (1, 2, 3, 4, 20):
            assert sorted(long_ones_first(FILES, slow, workers)) == list(range(10))
