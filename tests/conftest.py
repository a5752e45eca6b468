"""What all tests share: the shared data folder and small synthetic inputs."""

from __future__ import annotations

import os
from pathlib import Path

import matplotlib as mpl
import pytest
from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

mpl.use("Agg")
# No damaged sample may start a program each; tests/formats/test_dji.py asks for one by itself.
os.environ["ISOTHERM_DJI_READER"] = "none"
os.environ.pop("ISOTHERM_DJI_SDK", None)
# PEP 484: where a float is asked for, an int will do.
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
# Shapes and types of every annotated function are checked while the tests run.
_hook = install_import_hook("isotherm", "conftest.checked")

DATA = Path(os.environ.get("ISOTHERM_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the shared data where it is absent."""
    if DATA.is_dir():
        return
    skip = pytest.mark.skip(reason=f"needs the shared data ({DATA}; set ISOTHERM_DATA)")
    for item in items:
        if item.get_closest_marker("real_data"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def data() -> Path:
    """Return the shared data folder; use it together with the marker ``real_data``."""
    return DATA
