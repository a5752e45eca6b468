"""What starts, starts light: nothing heavy is imported before it is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "openvino", "matplotlib", "fastapi", "sklearn", "scipy", "PIL", "tifffile", "jinja2")


def modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules, file=sys.stderr)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.partition(".")[0] for name in done.stderr.split()}


@pytest.mark.parametrize(
    "code",
    [
        "import isotherm",
        "from isotherm.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass",
    ],
)
def test_import_and_help_are_light(code: str) -> None:
    assert not modules_after(code) & {*HEAVY, "numpy"}


def test_info_imports_no_inference(tmp_path) -> None:
    picture = tmp_path / "matrix.csv"
    picture.write_text("20.0,21.0\n22.0,23.5\n")
    code = f"from isotherm.cli.main import main; main(['info', {str(picture)!r}])"
    assert not modules_after(code) & {"torch", "openvino", "matplotlib", "fastapi", "sklearn", "scipy", "jinja2"}


def test_public_names_are_exactly_these() -> None:
    import isotherm

    assert sorted(isotherm.__all__) == [
        "Finding",
        "Inspection",
        "IsothermError",
        "ReadHints",
        "Scene",
        "SceneEdit",
        "Thermogram",
        "__version__",
        "load",
        "read",
    ]
    assert all(getattr(isotherm, name) is not None for name in isotherm.__all__)


def test_known_commands_are_told_when_one_is_unknown() -> None:
    done = subprocess.run([sys.executable, "-m", "isotherm", "inspekt"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "inspect" in done.stderr
    assert "Traceback" not in done.stderr
