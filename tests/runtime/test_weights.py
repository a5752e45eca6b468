"""Weights from files: every layout and library, what is refused, and the cache."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from networks_torch import ResNet, Transformer, randomised
from safetensors.numpy import save, save_file

from isotherm.core.errors import MissingExtraError, ModelError, OutputError
from isotherm.runtime import weight_files, weights
from isotherm.runtime.backbone_efficientnet import EFFICIENTNET_LITE0, EFFICIENTNET_LITE1
from isotherm.runtime.backbones import BACKBONES
from isotherm.runtime.weight_files import read_tensors
from isotherm.runtime.weight_sources import INPUT_MEAN, Wheel
from isotherm.runtime.weights import Added, add_weights, cache_folder, choose_weights, digest_of, load_weights, present
from random_weights import add_random, random_tensors

RESNET18 = BACKBONES.get("resnet18")
DINOV2, DINOV3 = BACKBONES.get("dinov2_vits14"), BACKBONES.get("dinov3_vits16")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ISOTHERM_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """Return the state dictionary of a ResNet 18 as torchvision has it, with its classifier."""
    return randomised(ResNet((2, 2, 2, 2), bottleneck=False)).state_dict()


def add(path: Path, name: str = "resnet18") -> Added:
    return add_weights(name, BACKBONES.get(name).source, path)


@pytest.mark.parametrize("header", [80, 120, 128, 136])
def test_safetensors_are_known_whatever_length_their_header_has(header: int) -> None:
    # A file begins with that length; a pickle begins with 128 (PROTO).
    files = [save({"x" * length: np.zeros(2, np.float32)}) for length in range(1, 100)]
    found = [data for data in files if data[0] == header]
    assert found
    assert [len(read_tensors(data, Path("x"))) for data in found] == [1] * len(found)


def test_every_layout_gives_the_same_weights(cache: Path, state: dict[str, torch.Tensor]) -> None:
    torch.save(state, cache / "zip.pth")
    torch.save(state, cache / "legacy.pth", _use_new_zipfile_serialization=False)
    torch.save({"epoch": 3, "state_dict": {f"module.{name}": value for name, value in state.items()}}, cache / "run.pt")
    save_file({name: value.numpy() for name, value in state.items()}, cache / "one.safetensors")
    found = [add(cache / name) for name in ("zip.pth", "legacy.pth", "run.pt", "one.safetensors")]
    assert len({item.digest for item in found}) == 1
    assert {frozenset(item.left_out) for item in found} == {frozenset({"fc.weight", "fc.bias"})}
    assert [path.name for path in cache_folder().iterdir()] == [f"resnet18-{found[0].digest}.safetensors"]
    loaded = load_weights("resnet18", RESNET18.source, choose_weights("resnet18", RESNET18.source))
    assert set(loaded.tensors) == {name for name in state if not name.startswith("fc.") and "num_batches" not in name}
    for name, values in loaded.tensors.items():
        assert np.array_equal(values, state[name].numpy())


def test_half_floats_are_widened(cache: Path, state: dict[str, torch.Tensor]) -> None:
    torch.save(
        {name: value.half() if value.is_floating_point() else value for name, value in state.items()}, cache / "a"
    )
    tensors = RESNET18.loaded(add(cache / "a").digest).weights.tensors
    assert tensors["conv1.weight"].dtype == np.float32
    assert tensors["conv1.weight"] == pytest.approx(state["conv1.weight"].numpy(), abs=1e-3)


def timm_names(name: str) -> str:
    return name.replace("storage_tokens", "reg_token").replace("ls1.gamma", "gamma_1").replace("ls2.gamma", "gamma_2")


def transformers_names(name: str) -> str:
    old_and_new = [
        ("cls_token", "embeddings.cls_token"),
        ("mask_token", "embeddings.mask_token"),
        ("pos_embed", "embeddings.position_embeddings"),
        ("storage_tokens", "embeddings.register_tokens"),
        ("patch_embed.proj", "embeddings.patch_embeddings.projection"),
        ("blocks.", "encoder.layer."),
        (".attn.proj.", ".attention.output.dense."),
        (".ls1.gamma", ".layer_scale1.lambda1"),
        (".ls2.gamma", ".layer_scale2.lambda1"),
    ]
    for old, new in old_and_new:
        name = name.replace(old, new)
    return name.replace("norm.", "layernorm.") if name.startswith("norm.") else name


def split(tensors: dict[str, np.ndarray], start: str, parts: tuple[str, str, str]) -> dict[str, np.ndarray]:
    """Take queries, keys and values apart, as transformers does."""
    found = {}
    for name, values in tensors.items():
        if ".attn.qkv." in name:
            for part, third in zip(parts, np.split(values, 3), strict=True):
                found[name.replace(".attn.qkv.", f".{start}{part}.")] = third
        else:
            found[name] = values
    return found


def test_the_names_of_timm_and_transformers(cache: Path) -> None:
    tensors = {name: value.numpy() for name, value in randomised(Transformer(14, 37)).state_dict().items()}
    expected = digest_of(DINOV2.source.fitted("x", tensors)[0])
    parted = split(tensors, "attention.attention.", ("query", "key", "value"))
    newer = split(tensors, "attention.", ("q_proj", "k_proj", "v_proj"))
    for found in (
        parted,
        {name.replace(".attn.proj.", ".attention.o_proj."): value for name, value in newer.items()},
        tensors,
    ):
        renamed = {transformers_names(name): value for name, value in found.items()}
        assert digest_of(DINOV2.source.fitted("x", renamed)[0]) == expected


def test_biases_of_keys_that_were_not_learnt(cache: Path) -> None:
    tensors = {name: value.numpy() for name, value in randomised(Transformer(16, 0)).state_dict().items()}
    for name in [name for name in tensors if name.endswith("qkv.bias")]:
        tensors[name] = np.concatenate([tensors[name][:384], np.zeros(384, np.float32), tensors[name][768:]])
    expected = digest_of(DINOV3.source.fitted("x", tensors)[0])
    # The authors: a bias that is switched off by a mask. timm: other names. transformers: no bias of the keys.
    mask = np.repeat(np.float32([1, 0, 1]), 384)
    masked = {name: value + 7 * (1 - mask) if "qkv.bias" in name else value for name, value in tensors.items()}
    masked |= {f"{name}_mask": mask for name in tensors if name.endswith("qkv.bias")}
    masked["rope_embed.periods"] = np.ones(16, np.float32)
    parted = split(tensors, "attention.", ("q_proj", "k_proj", "v_proj"))
    parted = {name.replace(".attn.proj.", ".attention.o_proj."): value for name, value in parted.items()}
    parted = {name: value for name, value in parted.items() if not name.endswith("k_proj.bias")}
    for found in (masked, {timm_names(name): value for name, value in tensors.items()}, parted):
        assert digest_of(DINOV3.source.fitted("x", found)[0]) == expected
    without = {name: value for name, value in tensors.items() if not name.endswith("qkv.bias")}
    assert not DINOV3.source.fitted("x", without)[0]["blocks.3.attn.qkv.bias"].any()


def test_another_network_is_named_by_what_does_not_fit(cache: Path, state: dict[str, torch.Tensor]) -> None:
    torch.save(state, cache / "resnet18.pth")
    with pytest.raises(ModelError) as caught:
        add(cache / "resnet18.pth", "resnet50")
    text = str(caught.value)
    assert "no weights of resnet50" in text
    assert "tensors are missing (layer1.0.conv3.weight, " in text
    assert "layer1.0.conv1.weight is (64, 64, 3, 3), not (64, 64, 1, 1)" in text
    with pytest.raises(ModelError, match=r"26 tensors are missing .*; 102 tensors are not part of it \(conv1\.weight"):
        add(cache / "resnet18.pth", "vgg16")
    assert not cache_folder().exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"bn1.bias": None}, r"1 tensors are missing \(bn1\.bias\)"),
        ({"extra.weight": np.zeros(3, np.float32)}, r"1 tensors are not part of it \(extra\.weight\)"),
        ({"bn1.bias": np.zeros(65, np.float32)}, r"bn1\.bias is \(65,\), not \(64,\)"),
        ({"bn1.bias": np.full(64, np.nan, np.float32)}, r"not finite numbers: bn1\.bias"),
        ({INPUT_MEAN: np.zeros(4, np.float32)}, r"input\.mean is \(4,\), not \(3,\)"),
    ],
)
def test_tensors_that_do_not_fit(cache: Path, change: dict[str, np.ndarray | None], reason: str) -> None:
    tensors = {key: value for key, value in (random_tensors("resnet18") | change).items() if value is not None}
    save_file(tensors, cache / "weights.safetensors")
    with pytest.raises(ModelError, match=reason):
        add(cache / "weights.safetensors")


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("evil"),)  # type: ignore[return-value]


def test_a_file_that_would_run_code_is_refused(
    cache: Path, monkeypatch: pytest.MonkeyPatch, state: dict[str, torch.Tensor]
) -> None:
    monkeypatch.chdir(cache)
    torch.save(dict(state) | {"fc.weight": Evil()}, cache / "zip.pth")
    torch.save(dict(state) | {"fc.weight": Evil()}, cache / "legacy.pth", _use_new_zipfile_serialization=False)
    (cache / "plain.pkl").write_bytes(pickle.dumps(Evil()))
    (cache / "old.pkl").write_bytes(pickle.dumps(Evil(), 0))
    for name in ("zip.pth", "legacy.pth", "plain.pkl", "old.pkl"):
        with pytest.raises(ModelError, match=rf"{name}: .*(not allowed|legacy layout|neither)"):
            add(cache / name)
    assert not (cache / "evil").exists()
    assert not cache_folder().exists()


def test_cut_files_are_refused(cache: Path, state: dict[str, torch.Tensor]) -> None:
    torch.save(state, cache / "zip.pth")
    torch.save(state, cache / "legacy.pth", _use_new_zipfile_serialization=False)
    save_file(random_tensors("resnet18"), cache / "one.safetensors")
    for name in ("zip.pth", "legacy.pth", "one.safetensors"):
        data = (cache / name).read_bytes()
        for share in (0.0001, 0.5, 0.999):
            (cache / name).write_bytes(data[: int(share * len(data))])
            with pytest.raises(ModelError):
                add(cache / name)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "neither a safetensors file, nor a state dictionary of torch, nor weights of Keras"),
        (b"GIF89a and so on", "neither"),
        (b"\x08\0\0\0\0\0\0\0{}      ", "no weights of resnet18"),
        (b"\xff\xff\xff\xff\xff\xff\xff\x7f{}", "damaged safetensors"),
        (weight_files.HDF5_SIGNATURE + bytes(200), "damaged HDF5"),
    ],
)
def test_files_of_other_kinds_are_refused(cache: Path, data: bytes, reason: str) -> None:
    (cache / "file").write_bytes(data)
    with pytest.raises(ModelError, match=reason):
        add(cache / "file")


def test_missing_and_giant_files(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="cannot be read: No such file"):
        add(cache / "nothing")
    with pytest.raises(ModelError, match="cannot be read: Is a directory"):
        add(cache)
    with (cache / "giant").open("wb") as stream:
        stream.truncate(2 * 1024**3)
    with pytest.raises(ModelError, match="has 2147483648 bytes; at most 1073741824"):
        add(cache / "giant")


def test_hdf5_files_that_refer_to_others_or_hold_no_numbers(cache: Path) -> None:
    import h5py

    (cache / "secret").write_bytes(bytes(64))
    cases = {
        "soft": lambda file: file.__setitem__("block1_conv1", h5py.SoftLink("/elsewhere")),
        "link": lambda file: file.__setitem__("block1_conv1", h5py.ExternalLink(str(cache / "other.h5"), "/")),
        "external": lambda file: file.create_dataset("a", (8,), "f8", external=[(str(cache / "secret"), 0, 64)]),
        "text": lambda file: file.create_dataset("a", data=np.bytes_(b"text")),
        "large": lambda file: file.create_dataset("a", (2**20, 2**20), "f4", chunks=True),
        "deep": lambda file: file.create_group("/".join("abcdefghijk")),
    }
    for name, fill in cases.items():
        with h5py.File(cache / name, "w") as file:
            fill(file)
        with pytest.raises(ModelError, match=r"an HDF5 file (that refers|with)|arrays have more than"):
            add(cache / name, "vgg16")


def test_weights_of_keras_need_h5py(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r"reading weights of Keras needs the extra 'backbones'"):
        read_tensors(weight_files.HDF5_SIGNATURE, cache / "x")


def test_the_cache_notices_what_was_altered(cache: Path) -> None:
    # A seed of its own: weights that were read once are not read again.
    added = add_random("resnet18", cache, seed=99)
    data = bytearray(added.path.read_bytes())
    data[-100] ^= 1
    added.path.write_bytes(data)
    with pytest.raises(ModelError, match="have been altered"):
        RESNET18.loaded(added.digest)


def test_the_weights_added_last_are_taken(cache: Path) -> None:
    first, second = add_random("resnet18", cache, seed=1), add_random("resnet18", cache, seed=2)
    assert present("resnet18", RESNET18.source) == [second.digest, first.digest]
    assert RESNET18.chosen() == second.digest
    add_random("resnet18", cache, seed=1)
    assert RESNET18.chosen() == first.digest
    assert RESNET18.loaded(second.digest).digest == second.digest


def test_a_cache_that_cannot_be_written(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cache / "file").write_bytes(b"")
    monkeypatch.setenv("ISOTHERM_CACHE", str(cache / "file"))
    with pytest.raises(OutputError, match="cannot create the folder"):
        add_random("resnet18", cache)


def test_where_the_cache_is(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ISOTHERM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    assert cache_folder() == cache / "isotherm" / "backbones"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "isotherm" / "backbones"


def test_a_damaged_wheel_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cache / "weights.pth").write_bytes(b"\x80\x02")
    monkeypatch.setattr(weights, "wheel_path", lambda _wheel: cache / "weights.pth")
    with pytest.raises(ModelError, match=r"weights\.pth are not the expected ones; reinstall efficientnet_lite0"):
        load_weights("x", EFFICIENTNET_LITE0.source, EFFICIENTNET_LITE0.chosen())


def test_a_missing_package_is_named() -> None:
    wheel = Wheel("no_such_package_of_weights", "x.pth", "0" * 64)
    with pytest.raises(ModelError, match=r"no_such_package_of_weights .* is not installed"):
        choose_weights("x", wheel)
    with pytest.raises(ModelError, match="is not installed"):
        weights.wheel_path(wheel)
    with pytest.raises(MissingExtraError, match=r"backbone 'lite9' needs the extra 'backbones'"):
        choose_weights("lite9", Wheel("no_such_package_of_weights", "x.pth", "0" * 64, "backbones"))
    with pytest.raises(ModelError, match="needs the weights 00000000"):
        EFFICIENTNET_LITE1.chosen("0" * 64)


def test_the_digest_tells_names_shapes_and_values_apart() -> None:
    one = {"a": np.zeros((2, 3), np.float32), "b": np.ones(2, np.float32)}
    assert digest_of(one) == digest_of(dict(reversed(one.items())))
    others = [
        {"a": np.zeros((3, 2), np.float32), "b": one["b"]},
        {"a": one["a"], "c": one["b"]},
        {"a": one["a"], "b": np.array([1, 2], np.float32)},
        {"a": one["a"]},
    ]
    assert len({digest_of(item) for item in [one, *others]}) == 5
