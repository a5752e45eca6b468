"""What the tests of `isotherm.jobs.limited` run in children."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from isotherm.core import errors
from isotherm.jobs.limited_wire import Answer

CALLS = list[str]()


def perform(data: bytes, options: Mapping[str, Any]) -> Answer:
    """Do what ``options["do"]`` says."""
    CALLS.append(options["do"])
    return DEEDS[options["do"]](data, options)


def _echo(data: bytes, options: Mapping[str, Any]) -> Answer:
    told = {"size": len(data), "pid": os.getpid(), "calls": len(CALLS)}
    return Answer({**told, **options}, {"data": data, "last": data[-3:]})


def _raise(data: bytes, options: Mapping[str, Any]) -> Answer:
    raise getattr(errors, options["kind"])(*options["with"])


def _foreign(data: bytes, options: Mapping[str, Any]) -> Answer:
    return Answer({"never": {}["reached"]})


def _hoard(data: bytes, options: Mapping[str, Any]) -> Answer:
    return Answer({"size": int(np.zeros(options["mib"] << 17).size)})


def _sleep(data: bytes, options: Mapping[str, Any]) -> Answer:
    time.sleep(options["s"])
    return Answer({"slept": options["s"]})


def _spin(data: bytes, options: Mapping[str, Any]) -> Answer:
    resource.setrlimit(resource.RLIMIT_CPU, (1, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    while True:
        pass


def _die(data: bytes, options: Mapping[str, Any]) -> Answer:
    os.kill(os.getpid(), getattr(signal, options["signal"]))
    time.sleep(30)
    return Answer()


def _exit(data: bytes, options: Mapping[str, Any]) -> Answer:
    os._exit(7)


def _crash(data: bytes, options: Mapping[str, Any]) -> Answer:
    ctypes.string_at(0)
    return Answer()


def _flood(data: bytes, options: Mapping[str, Any]) -> Answer:
    return Answer({}, {"flood": bytes(options["bytes"])})


def _gibberish(data: bytes, options: Mapping[str, Any]) -> Answer:
    for handle in range(3, 64):
        try:
            os.write(handle, bytes.fromhex(options["hex"]))
        except OSError:
            continue
    return Answer()


def _not_json(data: bytes, options: Mapping[str, Any]) -> Answer:
    return Answer({"nan": float("nan")})


def _look(data: bytes, options: Mapping[str, Any]) -> Answer:
    """Try what a child must not be able to do; each entry is "" where it could."""
    return Answer({name: _tried(attempt, options) for name, attempt in ATTEMPTS.items()} | {"env": dict(os.environ)})


def _tried(attempt: Callable[[Mapping[str, Any]], object], options: Mapping[str, Any]) -> str:
    try:
        attempt(options)
    except (OSError, ValueError) as error:
        return type(error).__name__
    return ""


def _import(data: bytes, options: Mapping[str, Any]) -> Answer:
    """Import modules, and then read files; each entry is "" where it could."""
    imported = {name: _tried(lambda _, name=name: import_module(name), {}) for name in options["modules"]}
    return Answer(imported | {path: _tried(_read, {"secret": path}) for path in options["files"]})


def _write(options: Mapping[str, Any]) -> None:
    Path(options["folder"], "written").write_text("x")


def _write_here(options: Mapping[str, Any]) -> None:
    Path("written").write_bytes(b"x")


def _read(options: Mapping[str, Any]) -> None:
    Path(options["secret"]).read_text()


def _connect(options: Mapping[str, Any]) -> None:
    socket.create_connection(("127.0.0.1", options["port"]), timeout=5).close()


def _signal(options: Mapping[str, Any]) -> None:
    os.kill(os.getppid(), 0)


def _start(options: Mapping[str, Any]) -> None:
    subprocess.run([sys.executable, "-c", ""], check=True)


def _open_many(options: Mapping[str, Any]) -> None:
    with ExitStack() as kept:
        for _ in range(100):
            kept.enter_context(Path(os.devnull).open())


ATTEMPTS = {
    "write": _write,
    "write_here": _write_here,
    "read": _read,
    "connect": _connect,
    "signal": _signal,
    "start": _start,
    "open_many": _open_many,
}
DEEDS = {
    "crash": _crash,
    "die": _die,
    "echo": _echo,
    "exit": _exit,
    "flood": _flood,
    "foreign": _foreign,
    "gibberish": _gibberish,
    "hoard": _hoard,
    "import": _import,
    "look": _look,
    "not_json": _not_json,
    "raise": _raise,
    "sleep": _sleep,
    "spin": _spin,
}
