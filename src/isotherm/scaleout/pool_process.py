"""``python -m isotherm.scaleout.pool_process CONNECTION LEASH``: does what a pool sends, until the pool ends."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Connection

from isotherm.core.memory import keep_freed_memory
from isotherm.scaleout.work import answer


def leave_with(leash: int) -> None:
    """Leave at once when the other end of a pipe is closed, as it is when its process dies, even amid work."""

    def watch() -> None:
        os.read(leash, 1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="isotherm-leash").start()


def main(arguments: list[str]) -> int:
    """Work until the connection is closed; returns the exit status."""
    # Ctrl-C reaches all processes of a terminal; the driver decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    leave_with(int(arguments[1]))
    keep_freed_memory()
    connection = Connection(int(arguments[0]))
    with suppress(EOFError, OSError):
        while True:
            task = json.loads(connection.recv_bytes())
            connection.send_bytes(answer(task["function"], task["setup"], task["items"]).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
