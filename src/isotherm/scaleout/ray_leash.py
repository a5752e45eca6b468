"""``python ray_leash.py LEASH DRIVER FOLDER``: ends what is left of a local Ray when who started it is gone.

Ray's own processes notice the death of their driver, all but its two agents: those ask the dead head for a minute and
more. Waits for the other end of the pipe LEASH to be closed, however that comes about. What Ray has started is known by
the files that it keeps open in FOLDER, which nobody else uses; DRIVER is spared. Then FOLDER goes. Runs without
site-packages, so that it costs next to nothing.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PROCESSES = Path("/proc")
PROGRAMS = ("raylet", "gcs_server")
"""Ray's programs that are not Python."""
ROUNDS, PAUSE_S = 40, 0.05
"""A process may start another while it is being ended; so one looks again until none is left."""


def main(arguments: list[str]) -> int:
    """Wait, end them, and remove the folder; returns the exit status."""
    leash, driver, folder = int(arguments[0]), int(arguments[1]), arguments[2]
    # Ctrl-C reaches all processes of a terminal; the driver decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.read(leash, 1)
    for _ in range(ROUNDS):
        left = [process for process in users_of(folder) if process not in (driver, os.getpid())]
        if not left:
            break
        for process in left:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(PAUSE_S)
    shutil.rmtree(folder, ignore_errors=True)
    return 0


def users_of(folder: str) -> Iterator[int]:
    """Yield the processes of Ray's and this Python's programs that keep files in a folder open."""
    python = os.path.realpath(sys.executable)
    for entry in PROCESSES.iterdir() if PROCESSES.is_dir() else ():
        # Those of other users, and those that have just ended, do not let one look.
        with suppress(OSError):
            program = str((entry / "exe").readlink()) if entry.name.isdecimal() else ""
            if (program == python or Path(program).name in PROGRAMS) and _uses(entry, folder):
                yield int(entry.name)


def _uses(process: Path, folder: str) -> bool:
    for file in (process / "fd").iterdir():
        with suppress(OSError):
            if str(file.readlink()).startswith(f"{folder}/"):
                return True
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
