"""The files for running a server for good are well-formed; no engine runs here, so that is all that is known."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture
def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))


def tool(name: str) -> str:
    """A program of this environment."""
    return str(Path(sys.executable).parent / name)


def test_the_dockerfile_passes_its_linter() -> None:
    found = subprocess.run([tool("hadolint"), "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def test_the_image_runs_as_nobody_special_and_says_how_it_is() -> None:
    lines = (ROOT / "Dockerfile").read_text("utf-8").splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users
    assert users[-1] != "0"
    assert any(line.startswith("HEALTHCHECK") for line in lines)


def test_the_image_is_built_from_files_that_are_let_through() -> None:
    copied = set(re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE))
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    names = {name for group in copied for name in group.split()}
    assert names == allowed
    assert all((ROOT / name).exists() for name in names)


def test_the_compose_file_passes_its_linter() -> None:
    rules = "{extends: default, rules: {document-start: disable, line-length: {max: 120}}}"
    found = subprocess.run(
        [tool("yamllint"), "-d", rules, "compose.yaml"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout


def test_what_services_name_is_declared(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        assert {volume.split(":")[0] for volume in service.get("volumes", [])} <= set(compose["volumes"])
    needing = services["isotherm"]["depends_on"]
    assert all("healthcheck" in services[name] for name in needing)


def test_only_the_loopback_address_is_published(compose: dict[str, Any]) -> None:
    published = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert published == ["127.0.0.1:8000:8000"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_knows_every_setting_of_the_unit(tmp_path: Path) -> None:
    # The program itself is not installed where the test runs.
    unit = (ROOT / "deploy/isotherm.service").read_text("utf-8").replace("/opt/isotherm/bin/isotherm", "/bin/true")
    (tmp_path / "isotherm.service").write_text(unit, "utf-8")
    found = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / "isotherm.service")], capture_output=True, text=True, check=False
    )
    own = [line for line in found.stderr.splitlines() if "isotherm.service" in line]
    assert found.returncode == 0, found.stderr
    assert own == []
