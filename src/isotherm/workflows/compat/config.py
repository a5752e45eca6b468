"""The configuration file of the per-site classifier API: six folders and how its networks are taught.

A server does not start where one of the folders is missing: a disk that is not mounted must not look like an empty
data set.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from isotherm.core.config import from_mapping, setting, to_mapping, validate
from isotherm.core.errors import ConfigError, DataError, OutputError
from isotherm.core.files import make_folder, write_whole

MAX_CONFIG_BYTES = 64 * 1024
FOLDERS = {
    "training_data_path": "training",
    "testing_data_path": "testing",
    "config_path": "config",
    "models_path": "models",
    "logs_path": "logs",
    "app_path": "app",
}
"""Key of the configuration file -> name of the folder that `make_config` makes below its root."""


@dataclass(frozen=True)
class CompatSettings:
    """How ``/api/make_model`` teaches, and from which probability on ``/api/predict`` names a category."""

    network: Literal["small_cnn", "logistic"] = setting("small_cnn", "what is taught: small_cnn, or logistic")
    scale_factor: float = setting(
        0.05, "the size of the first training image times this is the network's input (small_cnn)", low=1e-3, high=1.0
    )
    epochs: int | None = setting(
        None, "most passes over the training images; empty: 100, more where these are few", low=1, high=10_000
    )
    min_confidence: float | None = setting(
        None, "below this probability no category is named (else as the site is set, 0.5)", low=0.0, high=1.0
    )

    def __post_init__(self) -> None:
        validate(self)


@dataclass(frozen=True)
class CompatConfig:
    """Six folders, and the settings.

    Parameters
    ----------
    training_data_path, testing_data_path
        ``<temple_id>/<category>/<image_name>.<image_type>``; ``common`` in place of a temple_id is for all of them.
    config_path
        Where the configuration file lies.
    models_path
        ``<temple_id>/model_architecture.json``, ``model_weights.h5``, ``extra_info.json``.
    logs_path
        ``log.txt`` and ``error_log.txt``.
    app_path
        The server's data folder: database and contents of files.
    """

    training_data_path: Path
    testing_data_path: Path
    config_path: Path
    models_path: Path
    logs_path: Path
    app_path: Path
    settings: CompatSettings = CompatSettings()

    def split_path(self, split: str) -> Path:
        """Return the folder of the ``train`` or the ``test`` images."""
        return self.training_data_path if split == "train" else self.testing_data_path


def below(root: Path, app: Path | None = None, settings: CompatSettings | None = None) -> CompatConfig:
    """Return the configuration whose folders lie below one root, and make them.

    Raises
    ------
    OutputError
        A folder cannot be made.
    """
    paths = {key: root / name for key, name in FOLDERS.items()} | ({} if app is None else {"app_path": app})
    for path in paths.values():
        make_folder(path)
    return CompatConfig(**paths, settings=settings or CompatSettings())


def make_config(target: Path, root: Path, settings: CompatSettings | None = None) -> CompatConfig:
    """Make the folders below `root` and write the file that names them.

    Raises
    ------
    OutputError
        The file is there already, or something cannot be written.
    """
    if target.exists():
        raise OutputError(f"{target} is there already; remove it, or name another file with -o")
    target = target.absolute()
    config = below(root.absolute(), settings=settings)
    make_folder(target.parent)
    paths = {key: str(getattr(config, key)) for key in FOLDERS} | {"config_path": str(target.parent)}
    text = json.dumps(paths | {"settings": to_mapping(config.settings)}, indent=2)
    write_whole(target, f"{text}\n".encode())
    return load_config(target)


def load_config(path: Path) -> CompatConfig:
    """Read a configuration file; every folder that it names must be there.

    Raises
    ------
    ConfigError
        It is no such file, or a folder is missing; the message names them all.
    DataError
        It cannot be opened.
    """
    values = _read(path)
    problems = _problems(values)
    if problems:
        raise ConfigError(f"{path}: {'; '.join(problems)}. 'isotherm compat make-config' writes a whole one")
    paths = {key: Path(values[key]) for key in FOLDERS}
    missing = [f"{key} {str(folder)!r}" for key, folder in paths.items() if not folder.is_dir()]
    if missing:
        raise ConfigError(f"{path}: no such folder: {', '.join(missing)}; make it (or mount its disk) and start again")
    return CompatConfig(**paths, settings=from_mapping(CompatSettings, values.get("settings", {})))


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_CONFIG_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > MAX_CONFIG_BYTES:
        raise ConfigError(f"{path}: more than {MAX_CONFIG_BYTES} bytes; that is no configuration file")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: no JSON: {error}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: must be a JSON object with {', '.join(FOLDERS)}")
    return found


def _problems(values: Mapping[str, Any]) -> list[str]:
    """Say which keys are missing, unknown or of a wrong type."""
    known = [item.name for item in fields(CompatConfig)]
    missing = [f"{key} is missing" for key in FOLDERS if key not in values]
    unknown = [f"unknown {key!r}" for key in values if key not in known]
    wrong = [f"{key} must be the path of a folder" for key in FOLDERS if key in values and not _is_path(values[key])]
    if not isinstance(values.get("settings", {}), dict):
        wrong.append("settings must be an object")
    return missing + unknown + wrong


def _is_path(value: object) -> bool:
    return isinstance(value, str) and bool(value) and "\0" not in value


def described(config: CompatConfig) -> dict[str, Any]:
    """Return the configuration as plain values."""
    return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(config).items()}
