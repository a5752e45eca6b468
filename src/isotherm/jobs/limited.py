"""Long-lived child processes with limits, in which strangers' bytes are decoded.

A child runs one function, ``f(data: bytes, options: Mapping) -> Answer``, named ``package.module:attribute``. It may
use so much memory and processor time, may not write, and (where the system has Landlock) may neither read what is no
program nor speak to the network; whatever the bytes do to it, it dies alone and is replaced by itself. ::

    with LimitedPool("isotherm.workflows.service.examination:examine_in_child") as pool:
        answer = pool.call(data, options)

Of the server's environment a child gets nothing, and it ends with the process that started it, also after kill -9.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from isotherm.core.errors import BusyError, ConfigError, IsothermError, TooLargeError
from isotherm.jobs.limited_process import START_S, Child, Limits, Plan
from isotherm.jobs.limited_wire import Answer

__all__ = ["Answer", "LimitedPool", "Limits"]

_log = logging.getLogger(__name__)
_PAUSE_S = 1.0
"""How long is waited before a child is started again that could not be started [s]."""


@dataclass(frozen=True, eq=False)
class _Task:
    data: bytes
    options: Mapping[str, Any]
    timeout_s: float
    future: Future[Answer] = field(default_factory=Future)


class LimitedPool:
    """Children that all run the same function; for use from many threads.

    Parameters
    ----------
    function
        ``package.module:attribute`` of what runs in them.
    warm_up
        The same of a function without parameters that imports and prepares what calls need; empty for none.
    children
        How many there are.
    waiting
        How many calls may wait for a child beside those that run.
    limits
        What each may use.
    environment
        Variables that the children get; of this process they get none.

    Raises
    ------
    ConfigError
        There is no such thing as a pool of no children, or the system cannot hand connections to children (Windows).
    """

    def __init__(
        self,
        function: str,
        *,
        warm_up: str = "",
        children: int = 2,
        waiting: int = 32,
        limits: Limits | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        if children < 1 or waiting < 1:
            raise ConfigError(f"a pool has at least 1 child and 1 place to wait, not {children} and {waiting}")
        if os.name != "posix":
            raise ConfigError("children with limits need Linux, macOS or another POSIX system")
        self.limits = limits or Limits()
        self._plan = Plan(function, warm_up, self.limits, environment or {})
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._most = waiting + children
        self._open = 0
        self._slots = [_Slot(self._plan, self._tasks, self._closing) for _ in range(children)]
        for slot in self._slots:
            slot.start()

    def submit(self, data: bytes, options: Mapping[str, Any], timeout_s: float | None = None) -> Future[Answer]:
        """Have the function called in a child.

        The future's result is the `Answer`. Its exception is the IsothermError that was raised inside (same type, same
        message), TooLargeError where time or memory ran out, FormatError where the child died or raised anything else,
        and IsothermError itself where no child can be started. A call that has not begun can be cancelled.

        Raises
        ------
        TooLargeError
            There are more data than `Limits.input_bytes`.
        BusyError
            As many calls are waiting as may.
        """
        if len(data) > self.limits.input_bytes:
            raise TooLargeError(f"{len(data)} bytes; at most {self.limits.input_bytes} are decoded")
        task = _Task(data, options, timeout_s or self.limits.timeout_s)
        with self._lock:
            if self._closing.is_set():
                raise BusyError("the server is being stopped")
            if self._open >= self._most:
                raise BusyError(f"{self._open} files are being decoded or wait for it")
            self._open += 1
        task.future.add_done_callback(self._done)
        self._tasks.put(task)
        return task.future

    def _done(self, _future: Future[Answer]) -> None:
        with self._lock:
            self._open -= 1

    def call(self, data: bytes, options: Mapping[str, Any], timeout_s: float | None = None) -> Answer:
        """Call the function in a child and wait for it; see `submit` for what is raised."""
        return self.submit(data, options, timeout_s).result()

    @property
    def open_calls(self) -> int:
        """How many calls run or wait."""
        return self._open

    def children(self) -> list[tuple[int, tuple[str, ...]]]:
        """Return process number and what limits it of each child that is ready."""
        return [(child.pid, child.confined) for slot in self._slots if (child := slot.child) and child.confined]

    def wait_ready(self, timeout_s: float = START_S) -> bool:
        """Wait until all children are ready, and say whether they are."""
        deadline = time.monotonic() + timeout_s
        return all(slot.warm.wait(max(0.0, deadline - time.monotonic())) for slot in self._slots)

    def close(self, wait_s: float = 5.0) -> None:
        """Take no more calls, cancel those that wait, give those that run `wait_s`, and end all children."""
        with self._lock:
            self._closing.set()
        with suppress(queue.Empty):
            while True:
                task = self._tasks.get_nowait()
                if task is not None:
                    task.future.cancel()
        for _ in self._slots:
            self._tasks.put(None)
        deadline = time.monotonic() + wait_s
        for slot in self._slots:
            slot.join(max(0.0, deadline - time.monotonic()))
        for slot in self._slots:
            while slot.is_alive():
                # A child that is just being started is ended as soon as it is known.
                slot.kill()
                slot.join(0.05)

    def __enter__(self) -> LimitedPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Slot(threading.Thread):
    """One child after the other, started, used and ended by one thread.

    Linux ends a child when the *thread* that started it ends: so this thread lives as long as the pool.
    """

    def __init__(self, plan: Plan, tasks: queue.SimpleQueue[_Task | None], closing: threading.Event) -> None:
        super().__init__(name="isotherm-limited", daemon=True)
        self._plan, self._tasks, self._closing = plan, tasks, closing
        self.child: Child | None = None
        self._next: Child | None = None
        self.warm = threading.Event()

    def run(self) -> None:
        """Serve tasks until a None comes."""
        try:
            self._prepare()
            while (task := self._tasks.get()) is not None:
                if task.future.set_running_or_notify_cancel():
                    self._perform(task)
                del task
                self._prepare()
        finally:
            for child in (self.child, self._next):
                if child is not None:
                    child.end()

    def _perform(self, task: _Task) -> None:
        try:
            # A child may have died while it had nothing to do (the system was out of memory): no call is to blame.
            child = self._replaced() if self.child is None or self.child.ended() else self.child
            task.future.set_result(child.call(task.data, task.options, task.timeout_s))
        except Exception as error:  # noqa: BLE001 (it is the caller's)
            task.future.set_exception(error)

    def _replaced(self) -> Child:
        """Return a new child in place of the one that is there; raises IsothermError where none can be started."""
        old, self.child = self.child, None
        if old is not None:
            old.end()
        self.child, self._next = self._next or Child(self._plan), None
        return self.child

    def _prepare(self) -> None:
        """Have a child that is ready for the next task."""
        if self._closing.is_set():
            return
        try:
            child = self.child
            if child is None or child.ended():
                child = self._replaced()
            elif child.calls >= self._plan.limits.tasks:
                # The next one gets ready while this one works on.
                self._next = self._next or Child(self._plan)
                child = self._replaced() if self._next.announced() else child
            if child.get_ready():
                self.warm.set()
                return
        except IsothermError as error:
            _log.error("%s", error)
        self._closing.wait(_PAUSE_S)

    def kill(self) -> None:
        """End the child at once, from another thread."""
        for child in (self.child, self._next):
            if child is not None:
                child.kill()
