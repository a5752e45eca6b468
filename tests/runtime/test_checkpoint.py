"""The restricted reader of torch's files."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import ModelError
from isotherm.runtime import checkpoint
from isotherm.runtime.backbone import Backbone
from isotherm.runtime.backbone_efficientnet import LITES
from isotherm.runtime.checkpoint import read_state_dict
from isotherm.runtime.weights import wheel_path

Layout = Callable[[object], bytes]


def legacy(tensors: object) -> bytes:
    stream = io.BytesIO()
    torch.save(tensors, stream, _use_new_zipfile_serialization=False)
    return stream.getvalue()


def zipped(tensors: object) -> bytes:
    stream = io.BytesIO()
    torch.save(tensors, stream)
    return stream.getvalue()


LAYOUTS = pytest.mark.parametrize("layout", [legacy, zipped])


def small() -> OrderedDict[str, torch.Tensor]:
    torch.manual_seed(0)
    shared = torch.rand(4, 3, 2, 2).to(memory_format=torch.channels_last)
    return OrderedDict(
        a=shared, part=shared[1:3], count=torch.tensor(7), flat=torch.arange(5.0), none=torch.empty(0, 3)
    )


@pytest.mark.parametrize("backbone", LITES, ids=lambda backbone: backbone.name)
def test_equal_to_torch_on_the_real_weights(backbone: Backbone) -> None:
    path = wheel_path(backbone.source)
    expected, found = torch.load(path, weights_only=True), read_state_dict(path.read_bytes())
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert found[name].shape == tuple(tensor.shape)
        assert found[name].dtype == tensor.numpy().dtype
        assert np.array_equal(found[name], tensor.numpy())


@LAYOUTS
def test_equal_to_torch_on_shared_strided_and_empty_tensors(layout: Layout) -> None:
    expected, found = small(), read_state_dict(layout(small()))
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.numpy().dtype
        assert np.array_equal(found[name], tensor.numpy())


@LAYOUTS
@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_tensors_beside_other_things(layout: Layout, key: str) -> None:
    found = read_state_dict(layout({"epoch": 7, "loss": 0.25, key: small(), "best": True}))
    assert list(found) == list(small())


@LAYOUTS
def test_parameters(layout: Layout) -> None:
    linear = torch.nn.Linear(2, 3)
    found = read_state_dict(layout(dict(linear.named_parameters())))
    assert np.array_equal(found["weight"], linear.weight.detach().numpy())


@LAYOUTS
@pytest.mark.parametrize("found", [{}, {"a": 1}, [1, 2]])
def test_no_tensors(layout: Layout, found: object) -> None:
    with pytest.raises(ModelError, match=r"no dictionary of tensors|damaged"):
        read_state_dict(layout(found))


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
    with pytest.raises(ModelError, match="not allowed"):
        read_state_dict(repacked({"archive/data.pkl": pickle.dumps(Evil(), 2)}))
    assert not (tmp_path / "evil").exists()
    # The payload is a live one.
    pickle.loads(pickle.dumps(Evil(), 2))
    assert (tmp_path / "evil").exists()


def repacked(changes: dict[str, bytes | None], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return a file of the zip layout with other contents."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(zipped(small()))) as old, zipfile.ZipFile(stream, "w", compression) as new:
        files = {name: old.read(name) for name in old.namelist()} | changes
        for name, data in files.items():
            if data is not None:
                new.writestr(name, data)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (repacked({"archive/data.pkl": None}), "a zip file that is none of torch's"),
        (repacked({"archive/data/0": None}), "damaged"),
        (repacked({"archive/data/0": b"short"}), "storage 0 has 5 bytes, not 48 elements"),
        (repacked({"archive/byteorder": b"big"}), "little-endian"),
        (repacked({}, zipfile.ZIP_DEFLATED), "compressed"),
    ],
)
def test_other_zip_files_are_refused(data: bytes, reason: str) -> None:
    assert list(read_state_dict(repacked({}))) == list(small())
    with pytest.raises(ModelError, match=reason):
        read_state_dict(data)


def test_tensors_that_grow_are_refused() -> None:
    # A stride of 0 would make a terabyte out of one element.
    with pytest.raises(ModelError, match=r"more than|more elements"):
        read_state_dict(zipped({"a": torch.zeros(1).expand(2**38)}))
    with pytest.raises(ModelError, match="more elements"):
        read_state_dict(legacy({"a": torch.zeros(1).expand(100)}))


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


DATA = {"legacy": legacy(small()), "zip": zipped(small())}


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(DATA)), st.floats(0, 1, exclude_max=True))
def test_a_cut_file_is_refused(layout: str, share: float) -> None:
    with pytest.raises(ModelError):
        read_state_dict(DATA[layout][: int(share * len(DATA[layout]))])


@settings(deadline=None, max_examples=120)
@given(st.sampled_from(sorted(DATA)), st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_a_flipped_byte_lets_out_nothing_but_model_errors(layout: str, share: float, flip: int) -> None:
    damaged = bytearray(DATA[layout])
    damaged[int(share * len(damaged))] ^= flip
    try:
        read_state_dict(bytes(damaged))
    except ModelError:
        return


def test_too_many_instructions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "MAX_INSTRUCTIONS", 20)
    with pytest.raises(ModelError, match="more than 20 instructions"):
        read_state_dict(DATA["legacy"])
