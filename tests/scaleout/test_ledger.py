"""The ledger: a chunk and its rows appear together, once, and by its holder alone; on both databases."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import BusyError, ConfigError, ConflictError, OutputError
from isotherm.scaleout import ledger as module
from isotherm.scaleout.ledger import CHUNKS, RUNS, Held, Ledger
from isotherm.scaleout.owners import has_died, this_process
from isotherm.scaleout.plan import LeaseLostError, OtherRunError, Plan

PLAN = Plan("run", {"settings": 1}, {"started_at": "now"}, items=10, chunk=4)


@pytest.fixture
def ledger(database_url: str) -> Iterator[Ledger]:
    found = Ledger.open(database_url)
    yield found
    found.close()


def taken_over(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, plan: Plan = PLAN) -> Held:
    """Take a run as another process would whose machine knows that its holder is dead."""
    with monkeypatch.context() as patch:
        patch.setattr(module, "has_died", lambda owner: True)
        patch.setattr(module, "this_process", lambda: "another")
        return ledger.hold(plan)


def test_items_are_dealt_into_chunks_of_which_the_last_may_be_smaller() -> None:
    assert PLAN.chunks == 3
    assert [list(PLAN.places(number)) for number in range(3)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_rows_come_back_in_the_order_of_the_items_whatever_was_committed_first(ledger: Ledger) -> None:
    held = ledger.hold(PLAN)
    held.commit(2, ["8", "9"])
    held.commit(0, ["0", "1", "2", "\udcff ß\u2028 3"])
    assert held.done() == {2: 2, 0: 4}
    assert list(held.rows()) == ["0", "1", "2", "\udcff ß\u2028 3", "8", "9"]


def test_a_chunk_cannot_be_committed_twice(ledger: Ledger) -> None:
    held = ledger.hold(PLAN)
    held.commit(1, ["a"])
    with pytest.raises(ConflictError):
        held.commit(1, ["b"])
    assert list(held.rows()) == ["a"]


def test_a_row_of_two_lines_is_refused(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="one line"):
        ledger.hold(PLAN).commit(0, ["a\nb"])


def test_a_run_goes_on_where_it_was_left(ledger: Ledger) -> None:
    held = ledger.hold(PLAN)
    held.commit(0, ["a", "b", "c", "d"])
    held.release()
    again = ledger.hold(Plan("run", {"settings": 1}, {"started_at": "later"}, items=10, chunk=2))
    assert again.done() == {0: 4}
    # It keeps what it was begun with: chunks of another size would not be the same chunks.
    assert (again.plan.chunk, again.plan.about) == (4, {"started_at": "now"})


@pytest.mark.parametrize("plan", [Plan("run", {"settings": 2}, {}, 10, 4), Plan("run", {"settings": 1}, {}, 11, 4)])
def test_a_run_with_another_identity_is_refused_and_says_what_is_stored(ledger: Ledger, plan: Plan) -> None:
    ledger.hold(PLAN).release()
    with pytest.raises(OtherRunError) as caught:
        ledger.hold(plan)
    assert caught.value.stored == {"settings": 1}


def test_a_run_that_somebody_works_on_is_refused_until_the_lease_ends(database_url: str) -> None:
    ledger = Ledger.open(database_url, lease_s=0.2)
    held = ledger.hold(PLAN)
    with pytest.raises(BusyError, match="another process works on this run"):
        ledger.hold(PLAN)
    with pytest.raises(BusyError):
        ledger.remove("run")
    import time

    time.sleep(0.3)
    assert ledger.hold(PLAN).fence == held.fence + 1
    ledger.close()


def test_a_lease_from_before_the_clock_jumped_back_has_ended(ledger: Ledger) -> None:
    old = ledger.hold(PLAN)
    for ahead_s, free in ((2 * ledger.lease_s - 5, False), (24 * 3600, True)):
        with old.database.write() as session:
            session.execute(RUNS.update().values(lease_until_ms=old.database.now_ms(session) + int(ahead_s * 1000)))
        if not free:
            with pytest.raises(BusyError):
                ledger.hold(PLAN)
    new = ledger.hold(PLAN)
    new.commit(0, ["a"])
    with pytest.raises(LeaseLostError):
        old.commit(1, ["b"])
    assert list(new.rows()) == ["a"]


def test_who_has_lost_the_lease_can_change_nothing(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    old = ledger.hold(PLAN)
    new = taken_over(ledger, monkeypatch)
    for attempt in (lambda: old.commit(0, ["x"]), old.renew, old.release, old.remove):
        with pytest.raises(LeaseLostError, match="taken this run over"):
            attempt()
    new.commit(0, ["y"])
    assert list(new.rows()) == ["y"]


def test_a_holder_that_comes_back_under_its_own_name_is_told_by_the_fence(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = ledger.hold(PLAN)
    with monkeypatch.context() as patch:
        patch.setattr(module, "has_died", lambda owner: True)
        again = ledger.hold(PLAN)
    assert again.owner == old.owner
    with pytest.raises(LeaseLostError):
        old.commit(0, ["x"])


def test_what_is_removed_is_gone_and_other_runs_stay(ledger: Ledger) -> None:
    other = Plan("other", {}, {}, 1, 1)
    ledger.hold(other).commit(0, ["kept"])
    held = ledger.hold(PLAN)
    held.commit(0, ["gone"])
    held.remove()
    assert ledger.plan_of("run") is None
    assert ledger.plan_of("other") is not None
    assert ledger.hold(PLAN).done() == {}


def test_two_ledgers_may_make_the_tables_of_one_database(database_url: str) -> None:
    with pytest.raises(ConfigError):
        Ledger.open("mysql://somewhere")
    first, second = Ledger.open(database_url), Ledger.open(database_url)
    first.hold(PLAN).commit(0, ["a"])
    assert second.plan_of("run") is not None
    first.close()
    second.close()


def test_a_damaged_chunk_is_told(ledger: Ledger) -> None:
    held = ledger.hold(PLAN)
    held.commit(0, ["a"])
    with held.database.write() as session:
        session.execute(CHUNKS.update().values(rows=b"no zlib"))
    with pytest.raises(OutputError, match="chunk 0 of the ledger is damaged"):
        list(held.rows())


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(st.text(st.characters(exclude_characters="\n"))), max_size=4))
def test_whatever_text_rows_hold_comes_back(tmp_path_factory: pytest.TempPathFactory, chunks: list[list[str]]) -> None:
    folder = tmp_path_factory.mktemp("ledger")
    ledger = Ledger.open(f"sqlite:///{folder / 'a.sqlite'}")
    held = ledger.hold(Plan("run", {}, {}, 100, 25))
    for number, rows in enumerate(chunks):
        held.commit(number, ["", *rows])
    assert list(held.rows()) == [row for rows in chunks for row in ["", *rows]]
    ledger.close()


def test_a_process_is_dead_when_it_has_ended_or_its_number_is_used_again() -> None:
    me = this_process()
    assert not has_died(me)
    assert has_died(me.rpartition("/")[0] + "/1")
    machine = me.rsplit("/", 2)[0]
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    name = f"{machine}/{child.pid}/{Path(f'/proc/{child.pid}/stat').read_text().rpartition(')')[2].split()[19]}"
    assert not has_died(name)
    child.communicate(b"\n")
    assert has_died(name)


@pytest.mark.parametrize("owner", ["", "somebody", "0/1/2", "other-boot/pid/{pid}/1", "a/b/c/d/e"])
def test_of_processes_elsewhere_nothing_is_known(owner: str) -> None:
    assert not has_died(owner.format(pid=os.getpid()))
