"""A configuration dataclass as command-line flags, and back."""

from __future__ import annotations

import argparse
import re
from typing import TypeVar, get_args

from isotherm.core.config import Setting, check, from_mapping, settings_of
from isotherm.core.device import Device
from isotherm.core.errors import ConfigError

C = TypeVar("C")


def add_flags(parser: argparse.ArgumentParser, config_type: type, title: str, *, prefix: str = "") -> None:
    """Add one ``--flag`` for each setting of a configuration, in a group of its own.

    With a `prefix` the flags are ``--prefix-flag``, so that several configurations go into one command.
    """
    group = parser.add_argument_group(title)
    for item in settings_of(config_type):
        _add_flag(group, item, _destination(item, prefix))


def _destination(item: Setting, prefix: str) -> str:
    return f"{prefix}_{item.name}" if prefix else item.name


def _flag(destination: str) -> str:
    return "--" + destination.replace("_", "-")


def _add_flag(group: argparse._ArgumentGroup, item: Setting, destination: str) -> None:
    flag = _flag(destination)
    default = "" if item.default is None else f" (default {item.default})"
    text = (item.text + default).replace("%", "%%")
    if item.kind is bool:
        group.add_argument(flag, dest=destination, action=argparse.BooleanOptionalAction, default=None, help=text)
        return
    group.add_argument(
        flag,
        dest=destination,
        type=item.kind,
        choices=item.choices or None,
        default=None,
        metavar=None if item.choices else {int: "N", float: "X"}.get(item.kind, "TEXT"),
        help=text,
    )


def from_flags(config_type: type[C], arguments: argparse.Namespace, *, prefix: str = "") -> C:
    """Build the configuration from parsed flags; flags that were not given keep the dataclass's defaults.

    Raises
    ------
    ConfigError
        A value is not right; the message calls it by its flag.
    """
    flags = {item: _destination(item, prefix) for item in settings_of(config_type)}
    given = {item: value for item, name in flags.items() if (value := getattr(arguments, name)) is not None}
    for item, value in given.items():
        check(_flag(flags[item]), item, value)
    try:
        return from_mapping(config_type, {item.name: value for item, value in given.items()})
    except ConfigError as error:
        # What settings must be together is checked by the configuration itself, which knows no flags.
        names = {item.name: _flag(name) for item, name in flags.items()}
        raise ConfigError(_with_flags(str(error).removeprefix(f"{config_type.__name__}: "), names)) from error


def _with_flags(message: str, names: dict[str, str]) -> str:
    """Return a message with flags for the names of settings: its first word, and whatever can only be a name."""
    return re.sub(
        r"\w+",
        lambda found: names.get(found[0], found[0]) if "_" in found[0] or found.start() == 0 else found[0],
        message,
    )


def chosen(argv: list[str] | tuple[str, ...], flag: str, default: str) -> str:
    """Return the value of ``flag`` in `argv` before full parsing, so that other flags can depend on it."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument(flag, dest="value", default=default)
    return str(early.parse_known_args(list(argv))[0].value)


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    """Add ``--overwrite`` of the commands that write where ``-o`` says; see `isotherm.workflows.output_files`."""
    parser.add_argument(
        "--overwrite", action="store_true", help="replace files that are there and were not made from the same picture"
    )


def add_results(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the flag ``-o`` for the place of the results, which says `what` goes there."""
    # Most commands have their results in folders alone.
    from isotherm.workflows.remote_inputs import path_of

    parser.add_argument(
        "-o", "--output", type=path_of, required=True, metavar="OUT", help=f"folder or s3://bucket/prefix for {what}"
    )


def add_parquet(parser: argparse.ArgumentParser) -> None:
    """Add ``--parquet`` of the commands that write a row for each input; see `isotherm.workflows.columns_output`."""
    parser.add_argument(
        "--parquet",
        metavar="PLACE",
        help="write the rows as Parquet files too, into a folder or s3://bucket/prefix (extras scale, s3)",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``; `isotherm.cli.main` computes there while the command runs."""
    parser.add_argument(
        "--device",
        choices=get_args(Device),
        default="auto",
        help="where networks are trained and run; auto: CUDA where there is one (default auto)",
    )
