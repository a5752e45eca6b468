"""The program of a child of `isotherm.jobs.limited`: one function, again and again, behind walls."""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from isotherm.core.errors import IsothermError
from isotherm.jobs.limited_walls import allow_cpu, die_with, raise_limits, raise_walls
from isotherm.jobs.limited_wire import NO_MEMORY, Answer, encoded, plain_error, receive, send, too_much_memory

Function = Callable[[bytes, Mapping[str, Any]], Answer]


def main(order: Mapping[str, Any]) -> None:
    """Serve until the parent closes the connection.

    Parameters
    ----------
    order
        ``handle`` of the connection, ``parent`` (its process), ``function`` and ``warm_up`` as
        ``package.module:attribute``, ``nice``, and the limits; see `isotherm.jobs.limited.Limits`.
    """
    die_with(order["parent"])
    # Ctrl-C and systemd tell all processes to stop; the parent is to decide, for it may let a call be finished.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=order["handle"]) as stream:
        try:
            function, confined = _ready(order)
        except Exception:  # noqa: BLE001 (the parent says it)
            send(stream, encoded({"failed": traceback.format_exc(limit=-3)}))
            return
        send(stream, encoded({"ready": os.getpid(), "confined": confined}))
        _serve(stream, function, order)


def _ready(order: Mapping[str, Any]) -> tuple[Function, list[str]]:
    if order["nice"]:
        os.nice(order["nice"])
    function: Function = _named(order["function"])
    if order["warm_up"]:
        _named(order["warm_up"])()
    folder = Path.cwd() if order["file_bytes"] else None
    confined = raise_limits(order["memory_bytes"], order["file_bytes"], order["open_files"])
    confined += raise_walls(order["readable"], folder)
    # What has been imported stays: the collector need not look at it again after each picture.
    gc.freeze()
    return function, confined


def _named(target: str) -> Callable[..., Any]:
    module, _, attribute = target.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), attribute)
    return found


def _serve(stream: socket.socket, function: Function, order: Mapping[str, Any]) -> None:
    while True:
        try:
            header, parts = receive(stream, sys.maxsize)
        except (EOFError, OSError):
            return
        except MemoryError:
            # What is left of the message can no longer be told from the next one.
            os._exit(NO_MEMORY)
        allow_cpu(header["cpu_s"])
        head, answer = _outcome(function, parts[0], header["options"], order["memory_bytes"])
        del header, parts
        send(stream, head, answer)


def _outcome(
    function: Function, data: bytes, options: Mapping[str, Any], memory_bytes: int
) -> tuple[bytes, list[bytes]]:
    """Return the message that says what came of one call: its head and its parts."""
    try:
        answer = function(data, options)
        parts = list(answer.parts.values())
        return encoded({"values": answer.values, "names": list(answer.parts)}, parts), parts
    except IsothermError as error:
        said: dict[str, Any] = {"error": plain_error(error)}
    except MemoryError:
        said = {"error": plain_error(too_much_memory(memory_bytes))}
    except Exception as error:  # noqa: BLE001 (a child serves on; the parent logs it)
        words = " ".join(str(error).split())[:300]
        said = {"foreign": f"{type(error).__name__}: {words}", "trace": traceback.format_exc(limit=-8)}
    return encoded(said), []


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
