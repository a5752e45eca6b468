"""How arguments are read: wrong ones in one line that says what would be right, not in a page of usage."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from isotherm.core.config import settings_of
from isotherm.core.errors import IsothermError
from isotherm.core.registry import Registry

_FLAG = re.compile(r"--[a-z][a-z0-9-]*")
_NEGATIVE = re.compile(r"-\.?\d[\d.]*[, ]")
"""How a list of numbers begins that argparse would take for a flag; a number alone it knows."""


class CommandParser(argparse.ArgumentParser):
    """The parser of one command.

    Parameters
    ----------
    methods
        Whose flags depend on ``--method``; a flag of another one is said to be that.
    """

    def __init__(self, *, methods: Registry[Any] | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self._methods = methods

    def read(self, argv: Sequence[str]) -> argparse.Namespace:
        """Return the arguments; leaves the program with status 2 where they are wrong."""
        arguments, unknown = self.parse_known_args(_with_values(argv))
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}{self._elsewhere(unknown)}")
        return arguments

    def error(self, message: str) -> NoReturn:
        """Leave with the message in one line."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")

    def _elsewhere(self, unknown: Sequence[str]) -> str:
        flags = [word.partition("=")[0] for word in unknown if _FLAG.match(word)]
        said = [meant for flag in flags if (meant := self._meant(flag))]
        return f"; {', '.join(said)}" if said else ""

    def _meant(self, flag: str) -> str:
        """Return what may have been meant by an unknown flag; empty where nothing is near."""
        if names := self._having(flag):
            return f"{flag} goes with --method {' or '.join(names)}"
        close = get_close_matches(flag, self._option_string_actions, n=1, cutoff=0.75)
        return f"did you mean {close[0]}?" if close else ""

    def _having(self, flag: str) -> list[str]:
        """Return the methods that have a flag."""
        return [name for name in self._methods.names() if flag in _flags(self._methods, name)] if self._methods else []


def _flags(methods: Registry[Any], name: str) -> list[str]:
    try:
        config_type = methods.get(name).config_type
    except IsothermError:
        # A method whose extra is not installed cannot be asked.
        return []
    return ["--" + item.name.replace("_", "-") for item in settings_of(config_type)]


def _with_values(argv: Sequence[str]) -> list[str]:
    """Return arguments in which a flag and a value that begins with a minus, such as ``--spot -5,10``, are one word."""
    joined: list[str] = []
    for word in argv:
        if joined and _FLAG.fullmatch(joined[-1]) and _NEGATIVE.match(word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined
