from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from isotherm.core import errors
from isotherm.core.errors import FormatError, IsothermError, MissingExtraError, ModelError, UnknownNameError


def drawn_tree() -> dict[str, str]:
    """Return class -> parent as the module's docstring draws them."""
    parents, path = {}, {}
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^([ │├└─]*)(\w+Error)\b", line)
        if match:
            depth = len(match[1])
            above = [level for level in path if level < depth]
            parents[match[2]] = path[max(above)] if above else "Exception"
            path = {level: name for level, name in path.items() if level < depth} | {depth: match[2]}
    return parents


def test_the_drawn_tree_is_the_real_one() -> None:
    real = {
        name: kind.__bases__[0].__name__
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, Exception) and kind.__module__ == errors.__name__
    }
    assert drawn_tree() == real
    assert all(issubclass(getattr(errors, name), IsothermError) for name in real)


def test_messages_say_what_where_and_what_would_be_right() -> None:
    unknown = UnknownNameError("method", "patchcor", ["padim", "patchcore"])
    assert str(unknown) == "unknown method 'patchcor' (did you mean 'patchcore'?); known: padim, patchcore"
    assert str(UnknownNameError("method", "zzz", ["padim"])) == "unknown method 'zzz'; known: padim"
    assert str(FormatError("bad header", 12)) == "bad header (at byte 12)"
    assert FormatError("bad header", 12).reason == "bad header"
    assert str(FormatError("empty")) == "empty"
    assert str(ModelError("damaged", Path("m"))) == "model m: damaged"
    assert str(MissingExtraError("autoencoder", "train")) == (
        "autoencoder needs the extra 'train': pip install 'isotherm[train]'"
    )


@pytest.mark.parametrize("name", sorted(drawn_tree()))
def test_every_error_has_a_docstring(name: str) -> None:
    assert getattr(errors, name).__doc__
