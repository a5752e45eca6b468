"""Children with limits: what they return, what becomes of those that die, and what they cannot do."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import (
    BusyError,
    ConfigError,
    DataError,
    FormatError,
    IsothermError,
    MissingExtraError,
    TooLargeError,
    UnknownNameError,
)
from isotherm.jobs.limited import Answer, LimitedPool, Limits
from isotherm.jobs.limited_process import DiedError
from isotherm.jobs.limited_wire import encoded, plain_error, raised, receive, send

LIMITS = Limits(memory_bytes=256 << 20, timeout_s=20, input_bytes=8 << 20, output_bytes=1 << 20)
LANDLOCK = "landlock"


def a_pool(children: int = 1, **options: Any) -> LimitedPool:
    return LimitedPool("limited_functions:perform", children=children, **{"limits": LIMITS, **options})


@pytest.fixture(scope="module")
def pool() -> Iterator[LimitedPool]:
    with a_pool() as made:
        yield made


def pid_of(pool: LimitedPool) -> int:
    return pool.call(b"", {"do": "echo"}).values["pid"]


def gone(pid: int, within_s: float = 10) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        state = Path(f"/proc/{pid}/stat")
        if state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.02)
    return False


def test_bytes_go_there_and_back(pool: LimitedPool) -> None:
    data = os.urandom(300_001)
    answer = pool.call(data, {"do": "echo", "text": "ü \ud800", "number": 1.5})
    assert answer.values | {"pid": 0, "calls": 0} == {
        "size": len(data), "pid": 0, "calls": 0, "do": "echo", "text": "ü \ud800", "number": 1.5,
    }  # fmt: skip
    assert answer.parts == {"data": data, "last": data[-3:]}
    assert pool.call(b"", {"do": "echo"}).parts == {"data": b"", "last": b""}


def test_one_child_serves_many_calls(pool: LimitedPool) -> None:
    assert pid_of(pool) == pid_of(pool) == pool.children()[0][0]


@pytest.mark.parametrize(
    "error",
    [
        FormatError("no such marker", 12),
        TooLargeError("9 pixels; at most 4"),
        DataError("nothing to see"),
        UnknownNameError("format", "flur", ["flir", "dji"]),
        MissingExtraError("this", "formats"),
        BusyError("too much", 7),
    ],
)
def test_errors_come_back_as_they_were(error: IsothermError) -> None:
    again = raised(plain_error(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert {name: str(value) for name, value in vars(again).items()}.keys() == vars(error).keys()


def test_an_error_inside_is_raised_outside(pool: LimitedPool) -> None:
    before = pid_of(pool)
    with pytest.raises(TooLargeError, match=r"too wide \(at byte 3\)") as caught:
        pool.call(b"", {"do": "raise", "kind": "TooLargeError", "with": ["too wide", 3]})
    assert (caught.value.reason, caught.value.offset) == ("too wide", 3)
    with pytest.raises(DataError, match="no value"):
        pool.call(b"", {"do": "raise", "kind": "DataError", "with": ["no value"]})
    assert pid_of(pool) == before, "an error is no reason to end a child"


def test_an_error_of_no_known_kind_is_a_format_error() -> None:
    assert type(raised({"kind": "OSError", "text": "x"})) is FormatError
    assert type(raised({"kind": "get_close_matches", "text": "x"})) is FormatError
    assert type(raised({})) is FormatError


def test_a_foreign_exception_is_a_format_error_and_is_logged(
    pool: LimitedPool, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(FormatError, match="KeyError: 'reached'"):
        pool.call(b"", {"do": "foreign"})
    assert "limited_functions" in caplog.text
    with pytest.raises(FormatError, match="ValueError"):
        pool.call(b"", {"do": "not_json"})


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"do": "hoard", "mib": 1000}, TooLargeError, "more than the 256 MiB of memory"),
        ({"do": "spin"}, TooLargeError, "of processor time"),
        ({"do": "die", "signal": "SIGKILL"}, TooLargeError, "more memory than the system has"),
        ({"do": "die", "signal": "SIGABRT"}, DiedError, "ended with SIGABRT"),
        ({"do": "crash"}, DiedError, "ended with SIGSEGV"),
        ({"do": "exit"}, DiedError, "ended with status 7"),
        ({"do": "flood", "bytes": 2 << 20}, TooLargeError, "is too large"),
        # A header of 2**63 bytes, one that is no JSON, one without sizes, one with a negative size.
        ({"do": "gibberish", "hex": "8000000000000000"}, TooLargeError, "is too large"),
        ({"do": "gibberish", "hex": "0000000000000002ffff"}, FormatError, "no proper answer"),
        ({"do": "gibberish", "hex": "0000000000000002" + b"{}".hex()}, FormatError, "no proper answer"),
        ({"do": "gibberish", "hex": "000000000000000e" + b'{"sizes":[-1]}'.hex()}, FormatError, "no proper answer"),
        ({"do": "gibberish", "hex": "000000000000000c" + b'{"sizes":[]}'.hex()}, FormatError, "no proper answer"),
    ],
)  # fmt: skip
def test_whatever_happens_in_a_child_the_next_call_is_served(
    pool: LimitedPool, options: dict[str, Any], kind: type[Exception], words: str
) -> None:
    with pytest.raises(FormatError, match=words) as caught:
        pool.call(b"", options)
    assert type(caught.value) is kind
    assert pool.call(b"abc", {"do": "echo"}).values["size"] == 3


def test_a_call_that_takes_too_long_is_stopped(pool: LimitedPool) -> None:
    before, started = pid_of(pool), time.monotonic()
    with pytest.raises(TooLargeError, match=r"longer than 0\.3 s"):
        pool.call(b"", {"do": "sleep", "s": 60}, timeout_s=0.3)
    assert time.monotonic() - started < 10
    assert gone(before)
    assert pid_of(pool) != before


def test_a_child_that_died_in_its_sleep_harms_no_call(pool: LimitedPool) -> None:
    pid = pid_of(pool)
    os.kill(pid, signal.SIGKILL)
    assert gone(pid)
    assert pool.call(b"abc", {"do": "echo"}).values["size"] == 3


def test_a_child_leaves_it_to_the_server_when_to_stop(pool: LimitedPool) -> None:
    pid = pid_of(pool)
    running = pool.submit(b"", {"do": "sleep", "s": 0.3})
    os.kill(pid, signal.SIGINT)
    os.kill(pid, signal.SIGTERM)
    assert running.result().values["slept"] == 0.3
    assert pid_of(pool) == pid


def test_too_many_data_are_refused_before_they_travel(pool: LimitedPool) -> None:
    with pytest.raises(TooLargeError, match="at most 8388608"):
        pool.submit(bytes((8 << 20) + 1), {"do": "echo"})


def test_data_that_find_no_room_in_a_child_are_too_large() -> None:
    limits = Limits(memory_bytes=32 << 20)
    with a_pool(limits=limits) as pool:
        with pytest.raises(TooLargeError, match="more than the 32 MiB of memory"):
            pool.call(bytes(64 << 20), {"do": "echo"})
        assert pool.call(b"abc", {"do": "echo"}).values["size"] == 3


def test_a_child_can_do_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISOTHERM_SECRET", "hunter2")
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    with socket.create_server(("127.0.0.1", 0)) as server, a_pool(environment={"GIVEN": "yes"}) as pool:
        options = {"folder": str(tmp_path), "secret": str(secret), "port": server.getsockname()[1]}
        found = pool.call(b"", {"do": "look", **options}).values
        ((_, confined),) = pool.children()
    assert found["env"].keys() >= {"GIVEN"}
    assert "hunter2" not in str(found["env"])
    assert {"AS", "CORE", "FSIZE", "NOFILE"} <= set(confined)
    assert found["open_many"] == "OSError"
    assert found["write"], "without Landlock the file's size is limited to nothing"
    if not any(part.startswith(LANDLOCK) for part in confined):
        pytest.skip("this system has no Landlock")
    assert {found[name] for name in ("write", "write_here", "read", "start")} == {"PermissionError"}
    assert not (tmp_path / "written").exists()
    if int(confined[-1].removeprefix(LANDLOCK)) >= 6:
        assert (found["connect"], found["signal"]) == ("PermissionError", "PermissionError")


def test_a_child_with_a_folder_of_its_own_writes_there_and_nowhere_else(tmp_path: Path) -> None:
    limits = Limits(memory_bytes=256 << 20, file_bytes=1000, readable=(str(tmp_path),))
    (tmp_path / "secret").write_text("to be read")
    options = {"folder": str(tmp_path), "secret": str(tmp_path / "secret"), "port": 1}
    with a_pool(limits=limits) as pool:
        found = pool.call(b"", {"do": "look", **options}).values
        ((_, confined),) = pool.children()
        folder = Path(found["env"]["TMPDIR"])
        assert (folder / "written").read_bytes() == b"x"
    assert not folder.exists()
    assert (found["write_here"], found["read"], found["start"]) == ("", "", "")
    if any(part.startswith(LANDLOCK) for part in confined):
        assert found["write"] == "PermissionError"


def test_packages_that_are_links_are_found_and_nothing_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages, store, other = (tmp_path / name for name in ("packages", "store", "other"))
    for name in ("whole_link", "linked_files"):
        (store / name / "part").mkdir(parents=True)
        for module in ("__init__.py", "later.py", "part/__init__.py"):
            (store / name / module).write_text("")
    (packages / "linked_files").mkdir(parents=True)
    (packages / "whole_link").symlink_to(store / "whole_link")
    for module in ("__init__.py", "later.py"):
        (packages / "linked_files" / module).symlink_to(store / "linked_files" / module)
    other.mkdir()
    (tmp_path / "pictures").mkdir()
    (packages / "pictures").symlink_to(tmp_path / "pictures")
    secrets = [folder / "secret" for folder in (tmp_path, store, other, tmp_path / "pictures")]
    for secret in secrets:
        secret.write_text("hunter2")
    # What is no module may lead anywhere.
    (packages / "linked_files" / "key.json").symlink_to(other / "secret")
    monkeypatch.syspath_prepend(packages)
    modules = ["whole_link.later", "whole_link.part", "linked_files.later"]
    with a_pool() as pool:
        options = {"modules": modules, "files": [str(secret) for secret in secrets]}
        found = pool.call(b"", {"do": "import", **options}).values
        ((_, confined),) = pool.children()
    assert [found[name] for name in modules] == ["", "", ""]
    if any(part.startswith(LANDLOCK) for part in confined):
        assert [found[str(secret)] for secret in secrets] == ["PermissionError"] * 4


def test_more_calls_than_may_wait_are_refused_and_those_that_wait_are_served() -> None:
    with a_pool(waiting=2) as pool:
        assert pool.wait_ready()
        waiting = [pool.submit(b"", {"do": "sleep", "s": 0.4}) for _ in range(3)]
        with pytest.raises(BusyError, match="3 files are being decoded"):
            pool.submit(b"", {"do": "echo"})
        assert [call.result().values["slept"] for call in waiting] == [0.4] * 3
        assert pool.open_calls == 0
        assert pool.call(b"", {"do": "echo"}).values["size"] == 0


def test_a_call_that_nobody_waits_for_any_more_does_not_run() -> None:
    with a_pool() as pool:
        running = pool.submit(b"", {"do": "sleep", "s": 0.3})
        waiting = pool.submit(b"", {"do": "echo"})
        assert waiting.cancel()
        running.result()
        assert pool.call(b"", {"do": "echo"}).values["calls"] == 2


def test_children_are_renewed_after_their_tasks() -> None:
    limits = Limits(memory_bytes=256 << 20, tasks=3)
    with a_pool(limits=limits) as pool:
        deadline, pids = time.monotonic() + 20, list[int]()
        while len(set(pids)) < 3 and time.monotonic() < deadline:
            answer = pool.call(b"", {"do": "echo"})
            pids.append(answer.values["pid"])
    assert len(set(pids)) == 3
    assert all(pids.count(pid) >= 3 for pid in set(pids[:-1]))
    assert all(gone(pid) for pid in set(pids))


def test_closing_cancels_what_waits_and_leaves_no_process() -> None:
    pool = a_pool()
    assert pool.wait_ready()
    ((pid, _),) = pool.children()
    running, waiting = pool.submit(b"", {"do": "sleep", "s": 60}), pool.submit(b"", {"do": "echo"})
    while not running.running():
        time.sleep(0.01)
    pool.close(wait_s=0.1)
    with pytest.raises(FormatError):
        running.result(0)
    with pytest.raises(CancelledError):
        waiting.result(0)
    assert gone(pid)
    with pytest.raises(BusyError, match="stopped"):
        pool.submit(b"", {"do": "echo"})


@pytest.mark.skipif(sys.platform != "linux", reason="the death signal of parents is Linux's")
def test_no_child_outlives_a_killed_parent(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import time\nfrom isotherm.jobs.limited import LimitedPool\n"
        'pool = LimitedPool("limited_functions:perform", children=2)\n'
        "pool.wait_ready()\n"
        'pool.submit(b"", {"do": "sleep", "s": 600})\n'
        "time.sleep(0.2)\n"
        "print(*[pid for pid, _ in pool.children()], flush=True)\n"
        "time.sleep(600)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        pids = [int(text) for text in parent.stdout.readline().split()]
        parent.kill()
    assert len(pids) == 2
    assert all(gone(pid) for pid in pids), "one waits for work, one is at work"


def test_what_cannot_be_started_is_said_by_each_call(caplog: pytest.LogCaptureFixture) -> None:
    with LimitedPool("limited_functions:nothing", children=1, limits=LIMITS) as pool:
        with pytest.raises(IsothermError, match="cannot be started"):
            pool.call(b"", {})
        assert pool.children() == []
        assert not pool.wait_ready(0.01)
    assert "no attribute 'nothing'" in caplog.text


def test_a_pool_has_children() -> None:
    with pytest.raises(ConfigError, match="at least 1 child"):
        a_pool(0)


SCALARS = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False)


@given(st.dictionaries(st.text(), SCALARS), st.lists(st.binary(max_size=50), max_size=4))
@settings(max_examples=50, deadline=None)
def test_messages_survive_the_way(header: dict[str, Any], parts: list[bytes]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        header.pop("sizes", None)
        send(ours, encoded(header, parts), parts)
        assert receive(theirs, 1 << 20) == (header, parts)
        ours.close()
        with pytest.raises(EOFError):
            receive(theirs, 1 << 20)


def test_an_answer_compares_by_what_it_holds() -> None:
    assert Answer({"a": 1}, {"b": b"c"}) == Answer({"a": 1}, {"b": b"c"}) != Answer({"a": 2})
