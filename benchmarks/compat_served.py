"""A server of the per-site API in a process of its own, over a fresh folder, for the scripts beside this one."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from isotherm.client.compat import CompatClient
from isotherm.client.transport import Transport
from isotherm.workflows.compat.config import CompatSettings, make_config

TIMEOUT_S = 600.0


@contextmanager
def served(settings: CompatSettings, workers: int = 1) -> Iterator[CompatClient]:
    """Give a client of a server that is started, and ended afterwards; nothing of it is kept."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.json"
        make_config(config, Path(folder) / "root", settings)
        command = [sys.executable, "-m", "isotherm", "compat", "serve", "--config", str(config)]
        command += ["--port", "0", "--workers", str(workers)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        try:
            yield CompatClient(Transport(_url(process), timeout_s=TIMEOUT_S))
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def _url(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    said = process.stdout.readline()
    found = re.search(r"http://\S+", said)
    if found is None:
        raise SystemExit(f"the server has not started: {said!r}")
    return found[0]


def told(settings: CompatSettings) -> str:
    """Return the settings as one line, to stand beside numbers."""
    return json.dumps({name: getattr(settings, name) for name in settings.__dataclass_fields__})
