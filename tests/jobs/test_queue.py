from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from job_kinds import KINDS
from queue_clock import ClockedDatabase
from sqlalchemy import select

from isotherm.core.errors import ConflictError, NotFoundError, StorageFullError
from isotherm.jobs import queue
from isotherm.jobs.context import JobContext, JobStopped
from isotherm.jobs.queue import Lease, LeaseLostError, LeaseWatch
from isotherm.jobs.running import run_leased, work_off
from isotherm.store.database import Database
from isotherm.store.ids import new_id
from isotherm.store.tables import Job, JobItem, JobLog, Site, now

LEASE_MS = int(queue.LEASE_S * 1000)


@pytest.fixture
def clocked(database_url: str) -> Iterator[ClockedDatabase]:
    found = ClockedDatabase.open(database_url)
    found.now = 1_000_000
    yield found
    found.close()


def add(database: Database, kind: str = "where", **settings: object) -> str:
    with database.write() as session:
        return queue.enqueue(session, kind, **{"payload": {}, **settings}).id


def add_site(database: Database, name: str) -> str:
    with database.write() as session:
        site = Site(id=new_id(), name=name)
        session.add(site)
    return site.id


def job_of(database: Database, job_id: str) -> Job:
    with database.read() as session:
        return queue.get(session, job_id)


def claim(database: Database, worker: str = "w", kinds: tuple[str, ...] = tuple(KINDS)) -> Lease | None:
    return queue.claim(database, worker, kinds)


def claimed(database: Database, worker: str = "w") -> Lease:
    found = claim(database, worker)
    assert found is not None
    return found


def finish(database: Database, lease: Lease, state: str = "succeeded") -> None:
    with database.write() as session:
        queue.finish(session, lease, state)


def fail_once(database: Database, lease: Lease, reason: str = "a fault") -> None:
    with database.write() as session:
        queue.try_again(session, lease, reason, database.now_ms(session))


def test_a_job_exists_only_with_the_transaction_that_added_it(database: Database) -> None:
    def half_done() -> None:
        with database.write() as session:
            queue.enqueue(session, "where", payload={})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half_done()
    assert claim(database) is None


def test_the_highest_priority_goes_first_then_the_oldest(database: Database) -> None:
    low, high, low2 = add(database), add(database, priority=5), add(database)
    assert [claimed(database).job_id for _ in range(3)] == [high, low, low2]
    assert claim(database) is None


def test_sites_take_turns(database: Database) -> None:
    busy, quiet = add_site(database, "busy"), add_site(database, "quiet")
    many = [add(database, site_id=busy) for _ in range(6)]
    finish(database, claimed(database))
    finish(database, claimed(database))
    few = [add(database, site_id=quiet) for _ in range(2)]
    order = []
    for _ in range(6):
        lease = claimed(database)
        order.append(lease.job_id)
        finish(database, lease)
    assert order == [many[2], few[0], many[3], few[1], many[4], many[5]]


def test_one_running_job_an_exclusive_key(database: Database) -> None:
    first, second, other = (add(database, exclusive=key) for key in ("train:a", "train:a", "train:b"))
    a, b = claimed(database), claimed(database)
    assert (a.job_id, b.job_id) == (first, other)
    assert claim(database) is None
    with database.read() as session:
        holder = queue.holder(session, "train:a")
    assert holder is not None
    assert holder.id == first
    finish(database, a)
    assert claimed(database).job_id == second


def test_simultaneous_claims_never_share_a_job_or_a_key(database: Database) -> None:
    jobs = {add(database) for _ in range(30)} | {add(database, exclusive="key") for _ in range(10)}

    def claim_all(worker: str) -> list[str]:
        leases = [claim(database, worker) for _ in range(30)]
        return [lease.job_id for lease in leases if lease is not None]

    with ThreadPoolExecutor(6) as pool:
        got = [job for found in pool.map(claim_all, "abcdef") for job in found]
    assert len(got) == len(set(got)) == 31
    assert set(got) <= jobs


def test_claims_take_only_kinds_that_the_worker_knows_and_that_are_not_paused(database: Database) -> None:
    add(database, "count")
    with database.write() as session:
        queue.pause(session, "fail")
        queue.pause(session, "fail")
    failing = add(database, "fail")
    assert claim(database, kinds=("where", "fail")) is None
    with database.write() as session:
        assert queue.paused(session) == {"fail"}
        queue.resume(session, "fail")
    assert claimed(database).job_id != failing
    assert claimed(database).job_id == failing


def test_a_job_whose_worker_is_gone_is_taken_over_and_the_old_one_writes_nothing_more(clocked: ClockedDatabase) -> None:
    job_id = add(clocked, "count")
    old = claimed(clocked, "old")
    context = JobContext(clocked, old)
    assert context.commit_item("0")
    clocked.now += LEASE_MS - 1
    assert claim(clocked, "new") is None
    clocked.now += 1
    new = claimed(clocked, "new")
    assert (new.job_id, new.fence) == (job_id, old.fence + 1)
    with pytest.raises(JobStopped):
        context.commit_item("1")
    with pytest.raises(JobStopped):
        context.log("still here")
    with pytest.raises(LeaseLostError):
        queue.renew(clocked, old)
    with pytest.raises(LeaseLostError):
        finish(clocked, old)
    assert JobContext(clocked, new).finished_items() == {"0"}
    with clocked.read() as session:
        assert queue.log_lines(session, job_id) == []


def test_the_same_worker_cannot_write_with_the_lease_of_an_earlier_claim(clocked: ClockedDatabase) -> None:
    add(clocked)
    old = claimed(clocked)
    clocked.now += LEASE_MS
    claimed(clocked)
    with pytest.raises(LeaseLostError):
        queue.renew(clocked, old)


def test_renewing_keeps_a_job(clocked: ClockedDatabase) -> None:
    add(clocked)
    lease = claimed(clocked)
    for _ in range(5):
        clocked.now += LEASE_MS // 3
        assert not queue.renew(clocked, lease)
        assert claim(clocked, "thief") is None


def test_a_job_that_ends_its_workers_is_given_up_with_its_reason(clocked: ClockedDatabase) -> None:
    job_id = add(clocked, most_attempts=2)
    for _ in range(2 * queue.LOST_WORTH):
        claimed(clocked)
        clocked.now += LEASE_MS
    assert claim(clocked) is None
    job = job_of(clocked, job_id)
    assert (job.state, job.attempts) == ("dead", 10)
    assert "stopped without a word" in job.error
    assert job.finished_at is not None


def test_a_job_that_gets_ahead_is_not_given_up(clocked: ClockedDatabase) -> None:
    job_id = add(clocked, "count", most_attempts=1)
    for number in range(queue.LOST_WORTH + 1):
        context = JobContext(clocked, claimed(clocked))
        assert context.attempt == (1 if number == 0 else 2)
        context.commit_item(str(number))
        clocked.now += LEASE_MS
    claimed(clocked)
    assert job_of(clocked, job_id).done == 6


def test_failures_wait_longer_each_time(clocked: ClockedDatabase) -> None:
    job_id = add(clocked, most_attempts=3)
    for wait_ms in (500, 2000):
        fail_once(clocked, claimed(clocked))
        assert job_of(clocked, job_id).error == "a fault"
        clocked.now += wait_ms - 1
        assert claim(clocked) is None
        clocked.now += 1
    fail_once(clocked, claimed(clocked), "the last fault")
    assert (job_of(clocked, job_id).state, job_of(clocked, job_id).error) == ("dead", "the last fault")
    assert queue.wait_s(1000) == queue.LONGEST_WAIT_S


def test_a_job_that_is_handed_back_starts_at_once_and_no_attempt_is_counted(database: Database) -> None:
    job_id = add(database, most_attempts=1)
    for _ in range(3):
        lease = claimed(database)
        with database.write() as session:
            queue.hand_back(session, lease)
    assert job_of(database, job_id).attempts == 0


def test_leases_of_a_worker_known_to_be_dead_end_at_once(database: Database) -> None:
    add(database)
    claimed(database, "dead")
    queue.beat(database, "dead")
    with database.write() as session:
        queue.release(session, "dead")
    assert claimed(database, "next").fence == 2
    with database.read() as session:
        assert queue.workers_alive(database, session) == []


def test_cancelling(clocked: ClockedDatabase) -> None:
    waiting, running = add(clocked), add(clocked, priority=1)
    lease = claimed(clocked)
    for job_id in (waiting, running):
        with clocked.write() as session:
            queue.cancel(session, job_id)
    assert job_of(clocked, waiting).state == "cancelled"
    assert job_of(clocked, running).state == "running"
    assert queue.renew(clocked, lease)
    context = JobContext(clocked, lease)
    with pytest.raises(JobStopped):
        context.check()
    # Nobody is left to end it: the next claim does.
    clocked.now += LEASE_MS
    assert claim(clocked) is None
    assert job_of(clocked, running).state == "cancelled"


def test_cancelling_what_has_ended_or_never_was(database: Database) -> None:
    job_id = add(database)
    finish(database, claimed(database))
    with database.write() as session:
        with pytest.raises(ConflictError, match="succeeded"):
            queue.cancel(session, job_id)
        with pytest.raises(ConflictError, match="succeeded"):
            queue.retry(session, job_id)
        with pytest.raises(NotFoundError):
            queue.cancel(session, new_id())


def test_a_failure_after_a_cancel_is_not_tried_again(database: Database) -> None:
    job_id = add(database)
    lease = claimed(database)
    with database.write() as session:
        queue.cancel(session, job_id)
    fail_once(database, lease)
    assert job_of(database, job_id).state == "cancelled"


def test_trying_again_by_hand_keeps_finished_items(clocked: ClockedDatabase) -> None:
    job_id = add(clocked, "count", payload={"items": 3}, most_attempts=1)
    lease = claimed(clocked)
    JobContext(clocked, lease).commit_item("1")
    fail_once(clocked, lease)
    assert job_of(clocked, job_id).state == "dead"
    with clocked.write() as session:
        queue.retry(session, job_id)
    assert work_off(clocked, KINDS) == 1
    job = job_of(clocked, job_id)
    assert (job.state, job.done, job.result) == ("succeeded", 3, {"counted": 3})


def test_the_outcomes_of_functions(database: Database) -> None:
    good, bad, broken = add(database), add(database, "fail", payload={"how": "data"}), add(database, "fail")
    assert work_off(database, KINDS) == 3
    states = [job_of(database, job_id) for job_id in (good, bad, broken)]
    assert [job.state for job in states] == ["succeeded", "failed", "queued"]
    assert states[1].error == "one category only; two are needed"
    assert states[2].error == "RuntimeError: a fault"
    with database.read() as session:
        lines = [line.text for line in queue.log_lines(session, broken)]
    assert lines[0].startswith("Traceback")
    assert lines[-1] == "RuntimeError: a fault"


def test_an_item_and_its_results_are_kept_together_or_not_at_all(database: Database) -> None:
    job_id = add(database, "count")
    context = JobContext(database, claimed(database))

    def half(session: object) -> None:
        session.add(Site(name="half"))  # type: ignore[attr-defined]
        session.flush()  # type: ignore[attr-defined]
        raise RuntimeError

    with pytest.raises(RuntimeError):
        context.commit_item("a", half)
    assert context.finished_items() == set()
    assert context.commit_item("a", lambda session: {"x": 1}, error="broken\0file")
    assert not context.commit_item("a", half)
    assert context.item_result("a") == {"x": 1}
    assert context.item_result("b") == {}
    with database.read() as session:
        assert session.scalars(select(Site)).all() == []
        assert session.get(JobItem, (job_id, "a")).error == "broken\ufffdfile"
    assert job_of(database, job_id).done == 1
    with pytest.raises(ValueError, match="128"):
        context.commit_item("x" * 129)


def test_progress_is_written_five_times_a_second_and_the_last_one_always(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(number * 0.01 for number in range(10_000))
    monkeypatch.setattr("isotherm.jobs.context.time.monotonic", lambda: next(clock))
    job_id = add(database, "count")
    lease = claimed(database)
    before = job_of(database, job_id).row_version
    seen: list[int] = []

    def work(context: JobContext) -> dict[str, object]:
        for number in range(100):
            context.progress(number + 1, 100, f"step {number}")
        seen.append(job_of(database, job_id).row_version)
        return {}

    kinds = {"count": type(KINDS["count"])(work)}
    run_leased(database, kinds, lease)
    # 100 calls of one or two readings of the clock, 10 ms apart: 1 to 2 s, so 5 to 10 writes.
    assert 5 <= seen[0] - before <= 10
    job = job_of(database, job_id)
    assert (job.state, job.done, job.total, job.message) == ("succeeded", 100, 100, "step 99")


def test_progress_counts_items_in_whatever_order_it_is_told(database: Database) -> None:
    job_id = add(database, "count")
    lease = claimed(database)
    context = JobContext(database, lease)
    for number in range(5):
        context.progress(number, 6, "before each")
        context.commit_item(str(number))
        assert job_of(database, job_id).done == number + 1
    again = JobContext(database, lease)
    for number in range(6):
        again.progress(number, 6, "those of an earlier attempt are passed over")
    again.commit_item("5")
    again.flush()
    job = job_of(database, job_id)
    assert (job.done, job.total, job.message) == (6, 6, "those of an earlier attempt are passed over")
    again.progress(6, 6, "done")
    again.commit_item("the outcome")
    assert job_of(database, job_id).done == 6
    again.commit_item("one more")
    assert job_of(database, job_id).done == 6


def test_a_database_that_is_full_does_not_end_a_job_that_only_tells_how_far_it_is(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = add(database, "count")
    context = JobContext(database, claimed(database))
    with monkeypatch.context() as full:

        def refuse() -> None:
            raise StorageFullError("no room")

        full.setattr(database, "write", refuse)
        context.progress(1, 2, "half")
        context.log("a line")
        with pytest.raises(StorageFullError):
            context.commit_item("0")
    context.flush()
    with database.read() as session:
        assert [line.text for line in queue.log_lines(session, job_id)] == ["a line"]


def test_writing_an_item_may_log(database: Database) -> None:
    job_id = add(database, "count")
    context = JobContext(database, claimed(database))
    context.commit_item("0", lambda session: context.log("written"))
    context.check()
    with database.read() as session:
        assert [line.text for line in queue.log_lines(session, job_id)] == ["written"]


def test_logs_are_cut(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isotherm.jobs.context.MOST_LINES", 10)
    job_id = add(database, "count")
    context = JobContext(database, claimed(database))
    context.log("a\0b\nsecond \ud800")
    context.log("x" * 5000)
    for number in range(50):
        context.log(str(number))
    context.flush()
    with database.read() as session:
        lines = queue.log_lines(session, job_id)
        assert [line.number for line in queue.log_lines(session, job_id, after=8)] == [9, 10]
    assert [line.text for line in lines[:2]] == ["a\ufffdb", "second ?"]
    assert len(lines[2].text) == 2000
    assert len(lines) == 10
    assert "left out" in lines[-1].text
    # A later attempt goes on behind it.
    again = JobContext(database, Lease(job_id, "w", 1))
    again.log("more")
    again.flush()
    with database.read() as session:
        assert len(queue.log_lines(session, job_id)) == 10


def test_counts_and_purge(database: Database) -> None:
    old, young = add(database, "count", payload={"items": 2}), add(database, "fail", payload={"how": "data"})
    waiting = add(database)
    work_off(database, KINDS, most=2)
    with database.write() as session:
        assert queue.active_counts(session) == {("where", "queued"): 1}
        queue.get(session, old).finished_at = now() - timedelta(days=10)
    with database.write() as session:
        assert queue.purge(session, now() - timedelta(days=5)) == 1
        assert queue.purge(session, now() - timedelta(days=5)) == 0
    with database.read() as session:
        assert set(session.scalars(select(Job.id))) == {young, waiting}
        assert session.scalars(select(JobItem)).all() == []
        assert {line.job_id for line in session.scalars(select(JobLog))} == {young}


def test_house_keeping_is_added_when_it_is_due_and_leaves_one_old_row(database: Database) -> None:
    def due() -> int:
        with database.write() as session:
            queue.enqueue_when_due(session, "where", 3600)
            return len(session.scalars(select(Job.id)).all())

    def age() -> None:
        with database.write() as session:
            for job in session.scalars(select(Job)):
                job.created_at -= timedelta(hours=2)

    assert (due(), due()) == (1, 1)
    age()
    assert due() == 1, "it waits still"
    finish(database, claimed(database))
    assert due() == 2
    for _ in range(3):
        finish(database, claimed(database))
        age()
        assert due() == 2


class FakeClock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("day_ms", [86_400_000, -86_400_000])
def test_no_lease_is_stolen_when_the_clock_jumps_by_a_day(clocked: ClockedDatabase, day_ms: int) -> None:
    clocked.now = 10 * 86_400_000
    clock = FakeClock()
    watch = LeaseWatch(monotonic=clock)
    add(clocked)
    lease = claimed(clocked, "alive")
    assert queue.claim(clocked, "thief", ["where"], watch=watch) is None
    clocked.now += day_ms
    for _ in range(9):
        assert queue.claim(clocked, "thief", ["where"], watch=watch) is None
        # The owner is alive and renews when it is time to.
        clock.now += queue.LEASE_S / 3
        clocked.now += LEASE_MS // 3
        queue.renew(clocked, lease)
    # And once it is dead, the job is taken over.
    clock.now += queue.LEASE_S
    clocked.now += LEASE_MS
    assert queue.claim(clocked, "heir", ["where"], watch=watch) is not None


def test_a_lease_from_before_the_clock_jumped_back_ends_all_the_same(clocked: ClockedDatabase) -> None:
    clocked.now = 10 * 86_400_000
    add(clocked)
    claimed(clocked, "dead")
    clocked.now -= 86_400_000
    clock = FakeClock()
    watch = LeaseWatch(monotonic=clock)
    assert queue.claim(clocked, "heir", ["where"], watch=watch) is None
    clock.now += queue.LEASE_S
    clocked.now += LEASE_MS
    assert queue.claim(clocked, "heir", ["where"], watch=watch) is not None


def test_a_pause_from_before_the_clock_jumped_back_ends_all_the_same(clocked: ClockedDatabase) -> None:
    clocked.now = 10 * 86_400_000
    add(clocked)
    fail_once(clocked, claimed(clocked))
    clocked.now -= 86_400_000
    assert claim(clocked) is not None


def test_workers_alive(clocked: ClockedDatabase) -> None:
    queue.beat(clocked, "a")
    clocked.now += LEASE_MS // 2
    queue.beat(clocked, "b")
    queue.beat(clocked, "b")
    clocked.now += LEASE_MS // 2 + 1
    with clocked.write() as session:
        assert [worker.name for worker in queue.workers_alive(clocked, session)] == ["b"]
        queue.forget_workers(session, clocked.now + 86_400_000 - LEASE_MS // 2 - 2)
    with clocked.read() as session:
        assert [worker.name for worker in queue.workers_alive(clocked, session, within_s=1e6)] == ["b"]


def test_a_worker_with_a_job_in_hand_is_alive(clocked: ClockedDatabase) -> None:
    add(clocked)
    queue.beat(clocked, "busy")
    lease = claimed(clocked, "busy")
    clocked.now += LEASE_MS - 1000
    queue.renew(clocked, lease)
    clocked.now += LEASE_MS - 1000
    with clocked.read() as session:
        assert [worker.name for worker in queue.workers_alive(clocked, session)] == ["busy"]
