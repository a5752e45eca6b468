"""Feature vectors of the cells of a grid, for any network and any size of picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from isotherm.anomaly.method import Inputs
from isotherm.anomaly.padim import METHOD as PADIM
from isotherm.anomaly.padim import PadimConfig
from isotherm.anomaly.patchcore import METHOD as PATCHCORE
from isotherm.anomaly.patchcore import PatchCoreConfig
from isotherm.anomaly.patches import choose_taps, compile_patches, kept_cells, stored_taps, strides_of
from isotherm.core.errors import ConfigError, ModelError, UnknownNameError
from isotherm.core.progress import silent
from isotherm.testing.anomaly import BatchImages, faulty_pictures, normal_pictures
from random_weights import add_random

SIZE = (64, 96)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ISOTHERM_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.parametrize(
    ("backbone", "strides", "grid", "dimensions"),
    [
        ("efficientnet_lite0", (8, 16), (8, 12), 152),
        ("efficientnet_lite0", (4,), (8, 12), 24),
        ("efficientnet_lite0", (16, 32), (4, 6), 432),
        ("efficientnet_lite1", (8, 16), (8, 12), 152),
        ("efficientnet_lite2", (4, 8, 16), (8, 12), 192),
    ],
)
def test_cells(backbone: str, strides: tuple[int, ...], grid: tuple[int, int], dimensions: int) -> None:
    taps = choose_taps(backbone, strides)
    assert taps.grid(SIZE) == grid
    ((cells,),) = compile_patches(taps, SIZE, "f32").run(normal_pictures(1, seed=1, size=SIZE).pixels)
    assert cells.shape == (grid[0] * grid[1], dimensions)
    assert taps.dimensions == dimensions


def test_cells_of_a_transformer(cache: Path) -> None:
    add_random("dinov2_vits14", cache)
    taps = choose_taps("dinov2_vits14", (14,))
    assert taps.grid(SIZE) == (5, 7)
    ((cells,),) = compile_patches(taps, SIZE, "f32").run(normal_pictures(1, seed=1, size=SIZE).pixels)
    assert cells.shape == (35, 384)


@pytest.mark.parametrize(
    ("backbone", "text", "expected"),
    [
        ("efficientnet_lite0", "", (8, 16)),
        ("efficientnet_lite0", " 16, 4 ", (4, 16)),
        ("dinov2_vits14", "", (14,)),
        ("vgg16", "2,8", (2, 8)),
    ],
)
def test_strides(backbone: str, text: str, expected: tuple[int, ...]) -> None:
    assert strides_of(backbone, text, (8, 16)) == expected


@pytest.mark.parametrize("text", ["8;16", "5", "8,8", "8,", "-8"])
def test_strides_that_there_are_not(text: str) -> None:
    with pytest.raises(ConfigError, match=r"some of 4, 8, 16, 32 \(efficientnet_lite0\), each once, with commas"):
        PatchCoreConfig(strides=text)


def test_networks_that_there_are_not() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown backbone 'resnet' .*; known: .*resnet18"):
        PadimConfig(backbone="resnet")
    with pytest.raises(ConfigError, match="dimensions must be at most 24, what the feature maps have, not 100"):
        PadimConfig(strides="4")


def test_cells_that_do_not_match_the_pixels() -> None:
    ignore = np.zeros((2, *SIZE), np.bool_)
    ignore[0, :, :30] = True
    ignore[1] = True
    kept = kept_cells(Inputs(np.zeros((2, 3, *SIZE), np.float32), ignore), (5, 7)).reshape(2, 5, 7)
    # The middles of the seven columns lie at 6.9, 20.6, 34.3 ... px.
    assert kept[0].tolist() == [[False, False, True, True, True, True, True]] * 5
    assert kept[1].all()


class Untouched:
    """Images that fail the test when they are read."""

    size = SIZE

    def __len__(self) -> int:
        return 3

    def batches(self, size: int) -> object:
        raise AssertionError("a picture was read")


@pytest.mark.parametrize("method", [PATCHCORE, PADIM])
def test_weights_that_are_not_here_are_missed_before_a_picture_is_read(cache: Path, method: object) -> None:
    config = method.config_type(backbone="resnet18")
    with pytest.raises(ModelError, match=r"'resnet18' are not here; isotherm backbones fetch resnet18 \(about 47 MB\)"):
        method.fit(Untouched(), config, 0, silent)


@pytest.mark.parametrize("method", [PATCHCORE, PADIM])
def test_a_model_needs_the_weights_it_was_trained_with(cache: Path, method: object) -> None:
    first = add_random("resnet18", cache)
    config, asked = method.config_type(backbone="resnet18"), faulty_pictures(1, seed=2, size=SIZE)
    detector = method.fit(BatchImages(normal_pictures(3, seed=1, size=SIZE)), config, 0, silent)
    expected = detector.predict(asked).scores
    # Weights that were added later are for new models.
    second = add_random("resnet18", cache, seed=1)
    arrays = detector.arrays()
    assert method.load(arrays, config).predict(asked).scores == pytest.approx(expected)
    assert stored_taps(arrays, "resnet18", (8, 16)).digest == first.digest != second.digest
    assert choose_taps("resnet18", (8, 16)).digest == second.digest
    first.path.unlink()
    with pytest.raises(
        ModelError, match=rf"needs the weights {first.digest[:12]}.* here are: {second.digest[:12]}.*; add"
    ):
        method.load(arrays, config)
    with pytest.raises(ModelError, match="needs the weights"):
        method.load(arrays, method.config_type())
    second.path.unlink()
    with pytest.raises(ModelError, match=rf"needs the weights {first.digest[:12]}.* here are: none; add"):
        method.load(arrays, config)
