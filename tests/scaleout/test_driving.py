"""The driver with each executor: every item's row once, whatever dies."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from isotherm.core.errors import ConfigError, DataError, FormatError, StorageFullError, UnknownNameError, UsageError
from isotherm.scaleout import driving
from isotherm.scaleout.driving import Task, WorkersDieError, drive, renewing
from isotherm.scaleout.executor import Executor, InProcess, open_executor
from isotherm.scaleout.ledger import Held, Ledger
from isotherm.scaleout.plan import Plan
from isotherm.scaleout.pool import Pool
from isotherm.scaleout.work import Work, WorkerError, answer, rows_of

ITEMS = [str(number) for number in range(50)]
DOUBLED = [str(2 * number) for number in range(50)]


@pytest.fixture(autouse=True)
def _functions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    yield ledger.hold(Plan("run", {}, {}, len(ITEMS), 8))
    ledger.close()


@pytest.fixture(params=["in-process", "pool"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    found = open_executor(request.param, 2)
    assert isinstance(found, Executor)
    yield found
    found.close()


def task(function: str = "double", **setup: object) -> Task:
    return Task(
        f"scaleout_functions:{function}", json.dumps(setup), ITEMS, lambda item, why: f"{item} failed: {why}", "working"
    )


def test_every_item_has_its_row_in_its_place_and_progress_counts_them(held: Held, executor: Executor) -> None:
    told = []
    drive(held, executor, task(), lambda *said: told.append(said))
    assert list(held.rows()) == DOUBLED
    assert told[0] == (0, 50, "working")
    assert told[-1] == (50, 50, "working")
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)


def test_what_is_committed_is_not_done_again(held: Held, executor: Executor, tmp_path: Path) -> None:
    held.commit(1, ["committed before"] * 8)
    drive(held, executor, task(calls=str(tmp_path / "calls")))
    assert list(held.rows()) == [*DOUBLED[:8], *["committed before"] * 8, *DOUBLED[16:]]
    called = [item for line in (tmp_path / "calls").read_text().splitlines() for item in line.split()[1:]]
    assert sorted(map(int, called)) == [*range(8), *range(16, 50)]


@pytest.mark.parametrize(
    ("error", "kind"), [("disk", StorageFullError), ("format", FormatError), ("name", UnknownNameError)]
)
def test_errors_keep_kind_and_message_on_their_way(
    held: Held, executor: Executor, error: str, kind: type[Exception]
) -> None:
    with pytest.raises(kind) as caught:
        drive(held, executor, task(raises_at="20", error=error))
    from scaleout_functions import ERRORS

    assert str(caught.value) == str(ERRORS[error])


def test_after_an_error_the_committed_chunks_are_kept(held: Held) -> None:
    with pytest.raises(StorageFullError):
        drive(held, InProcess(), task(raises_at="20", error="disk"))
    assert held.done() == {0: 8, 1: 8}


def test_a_mistake_in_the_function_shows_where_it_is(held: Held) -> None:
    pool = Pool(1)
    with pytest.raises(WorkerError, match=r"(?s)scaleout_functions.py.*ZeroDivisionError: a mistake"):
        drive(held, pool, task(raises_at="20", error="bug"))
    pool.close()


def test_a_function_that_forgets_a_row_is_refused(held: Held, executor: Executor) -> None:
    with pytest.raises(ConfigError, match="forget_one gave 7 rows for 8 items"):
        drive(held, executor, task("forget_one"))


def test_an_item_that_kills_its_worker_is_one_row_and_costs_no_other(held: Held) -> None:
    pool = Pool(2)
    drive(held, pool, task(dies_of="13"))
    rows = list(held.rows())
    assert rows[13].startswith("13 failed: the process that worked on it was ended by SIGKILL")
    assert rows[:13] + rows[14:] == DOUBLED[:13] + DOUBLED[14:]
    pool.close()


def test_workers_that_always_die_end_the_run(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driving, "MOST_LOST", 0)
    pool = Pool(1)
    with pytest.raises(WorkersDieError, match="workers die whatever they are given"):
        drive(held, pool, task("die_always"))
    pool.close()


def test_a_pool_does_two_pieces_at_once_and_leaves_no_process_behind(tmp_path: Path) -> None:
    pool = Pool(2)
    for chunk in range(2):
        pool.submit(Work(chunk, 0, "scaleout_functions:meet", json.dumps({"folder": str(tmp_path)}), (str(chunk),)))
    found = dict[int, tuple[str, ...]]()
    while len(found) < 2:
        found |= {finished.work.chunk: finished.rows for finished in pool.wait(10)}
    assert found == {0: ("met",), 1: ("met",)}
    children = [process._process.pid for process in pool._processes]
    assert len(children) == 2
    pool.close()
    assert not any(Path(f"/proc/{child}").exists() for child in children)


def test_a_pool_that_is_closed_ends_work_that_is_under_way() -> None:
    pool = Pool(1)
    pool.submit(Work(0, 0, "scaleout_functions:double", json.dumps({"seconds": 600}), ("1",)))
    pool.wait(0.5)
    began = time.monotonic()
    pool.close()
    assert time.monotonic() - began < 5


def test_the_lease_is_renewed_while_a_chunk_takes_longer_than_it_lasts(tmp_path: Path) -> None:
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}", lease_s=0.3)
    held = ledger.hold(Plan("run", {}, {}, len(ITEMS), 50))
    with renewing(held):
        drive(held, InProcess(), task(seconds=1.0))
        with ledger._database.read() as session:
            now_ms = ledger._database.now_ms(session)
            from isotherm.scaleout.ledger import RUNS

            assert session.execute(RUNS.select()).one().lease_until_ms > now_ms
    ledger.close()


@pytest.mark.parametrize("name", ["", "dask", "ray", "http://host", "pools"])
def test_an_unknown_executor_is_named_with_the_known_ones(name: str) -> None:
    with pytest.raises(UsageError, match="in-process, pool, ray-local or ray://HOST:PORT"):
        open_executor(name)


def test_an_answer_says_in_json_what_went_wrong() -> None:
    with pytest.raises(DataError, match="nothing to judge"):
        rows_of(answer("scaleout_functions:judge", "{}", ["1"]))
    assert rows_of(answer("scaleout_functions:double", "{}", ["\udcff" and "4"])) == ("8",)
    unknown = json.dumps({"error": "os", "message": "no class of ours"})
    with pytest.raises(Exception, match="no class of ours"):
        rows_of(unknown)
    assert os.getpid()
