"""isotherm: thermal images in, findings that people can act on out."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# OpenVINO tells its maker of each import, unless this module is missing: None makes it so.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

# Name -> module, imported at first use, so that `import isotherm` stays light.
_PUBLIC = {
    "read": "isotherm.formats",
    "load": "isotherm.workflows.api",
    "ReadHints": "isotherm.formats",
    "Thermogram": "isotherm.core.thermogram",
    "Scene": "isotherm.core.scene",
    "SceneEdit": "isotherm.core.scene",
    "Finding": "isotherm.core.findings",
    "Inspection": "isotherm.core.findings",
    "IsothermError": "isotherm.core.errors",
}
__all__ = [  # noqa: PLE0604 (the names of the table above)
    "__version__",
    *_PUBLIC,
]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'isotherm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
