from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isotherm.core.config import from_mapping, setting, settings_of, to_mapping, validate
from isotherm.core.errors import ConfigError


@dataclass(frozen=True)
class Example:
    size: int = setting(256, "image size [px]", low=8, high=4096)
    share: float = setting(0.1, "part of it", low=0, high=1)
    name: str = setting("x", "a name")
    mode: Literal["fast", "exact"] = setting("exact", "how")
    flip: bool = setting(True, "turn it round")
    limit: float | None = setting(None, "a limit [K]", low=0)

    def __post_init__(self) -> None:
        validate(self)


def test_settings_describe_the_fields() -> None:
    described = {item.name: item for item in settings_of(Example)}
    assert list(described) == ["size", "share", "name", "mode", "flip", "limit"]
    assert (described["size"].kind, described["size"].low, described["size"].high) == (int, 8, 4096)
    assert described["mode"].choices == ("fast", "exact")
    assert (described["limit"].kind, described["limit"].optional) == (float, True)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"siez": 1}, "unknown siez; known: size, share"),
        ({"size": "256"}, "size must be int, not '256'"),
        ({"size": True}, "size must be int"),
        ({"size": 1.5}, "size must be int"),
        ({"size": 4}, "at least 8"),
        ({"size": 5000}, "at most 4096"),
        ({"share": float("inf")}, "finite"),
        ({"share": None}, "share must be float"),
        ({"mode": "slow"}, "one of fast, exact"),
        ({"flip": 1}, "flip must be bool"),
        ({"limit": -1}, "at least 0"),
        ({"name": 3}, "name must be str"),
    ],
)
def test_wrong_values_say_what_would_be_right(values: dict[str, object], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        from_mapping(Example, values)


def test_whole_numbers_serve_as_floats() -> None:
    assert from_mapping(Example, {"share": 1, "limit": 3}) == Example(share=1.0, limit=3.0)


def test_a_configuration_built_by_hand_is_checked_too() -> None:
    with pytest.raises(ConfigError, match="at least 8"):
        Example(size=1)


@given(
    size=st.integers(8, 4096),
    share=st.floats(0, 1),
    mode=st.sampled_from(["fast", "exact"]),
    limit=st.none() | st.floats(0, 10),
)
def test_there_and_back(size: int, share: float, mode, limit: float | None) -> None:
    config = Example(size=size, share=share, mode=mode, limit=limit)
    assert from_mapping(Example, to_mapping(config)) == config
