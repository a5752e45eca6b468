"""What isotherm imports tells nobody of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SHOW = (
    "import sys, {first}openvino; print(sorted(n for n, m in sys.modules.items() if m and 'openvino_telemetry' in n))"
)


@pytest.mark.parametrize("first", ["isotherm.runtime.compiled, ", "isotherm, "])
def test_openvino_sends_no_word_of_its_import(tmp_path: Path, first: str) -> None:
    # It keeps quiet on machines for continuous integration by itself: this must not look like one.
    quiet = {"CI", "TF_BUILD", "JENKINS_URL"}
    environment = {name: value for name, value in os.environ.items() if name not in quiet} | {"HOME": str(tmp_path)}
    command = [sys.executable, "-c", SHOW.format(first=first)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert list(tmp_path.iterdir()) == []
