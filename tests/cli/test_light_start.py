"""Commands that need no network do not load what runs networks: it takes longer than all else that they load."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("command", ["hotspots", "inspect"])
def test_a_command_loads_openvino_only_for_a_model(command: str) -> None:
    code = f"import sys, isotherm.cli.{command}; print('numpy' in sys.modules, 'openvino' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
