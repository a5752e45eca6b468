"""What runs a graph: the wanted device, or a clear word about what is missing."""

from __future__ import annotations

import numpy as np
import onnxruntime
import openvino as ov
import pytest
from openvino import opset13 as ops

from isotherm.core.device import on_device, wanted
from isotherm.core.errors import ConfigError, ModelError
from isotherm.runtime import engines
from isotherm.runtime.compiled import Compiled
from isotherm.runtime.engines import InOnnxRuntime, engine
from isotherm.runtime.onnx_writer import write_onnx

HAS_CUDA = "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def doubling() -> ov.Model:
    images = ops.parameter(ov.PartialShape([-1, 3, 4, 4]), np.float32)
    images.output(0).get_tensor().set_names({"pixels"})
    result = ops.result(ops.multiply(images, ops.constant(np.float32(2))))
    result.output(0).get_tensor().set_names({"doubled"})
    return ov.Model([result], [images])


@pytest.mark.parametrize("count", [0, 1, 5, 17])
def test_batches_keep_their_order(count: int) -> None:
    pictures = np.arange(count * 48, dtype=np.float32).reshape(count, 3, 4, 4)
    found = list(InOnnxRuntime(write_onnx(doubling()), batch=4).run(pictures))
    assert len(found) == count
    assert all(np.array_equal(doubled, 2 * picture) for (doubled,), picture in zip(found, pictures, strict=True))


def test_a_picture_of_another_size_is_refused() -> None:
    with pytest.raises(ModelError, match=r"must have the shape \[\(3, 4, 4\)\], not \[\(3, 8, 8\)\]"):
        list(InOnnxRuntime(write_onnx(doubling())).run(np.zeros((1, 3, 8, 8), np.float32)))


def test_the_processor_is_openvino() -> None:
    with on_device("cpu"):
        assert isinstance(engine(doubling(), "f32"), Compiled)
    assert wanted() == "auto"


@pytest.mark.skipif(HAS_CUDA, reason="there is CUDA")
def test_without_cuda_auto_takes_the_processor_and_cuda_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not engines._has_cuda_provider()
    # As where onnxruntime-gpu is installed and there is no device.
    monkeypatch.setattr(engines, "_has_cuda_provider", lambda: True)
    assert isinstance(engine(doubling(), "f32"), Compiled)
    with on_device("cuda"), pytest.raises(ConfigError, match=r"device cuda: .* pip install onnxruntime-gpu"):
        engine(doubling(), "f32")


@pytest.mark.skipif(not HAS_CUDA, reason="needs onnxruntime-gpu and a device")
def test_cuda() -> None:
    picture = np.ones((1, 3, 4, 4), np.float32)
    with on_device("cuda"):
        (found,) = engine(doubling(), "f32").run(picture)
    assert np.array_equal(found[0], 2 * picture[0])


def test_other_devices_are_refused() -> None:
    with pytest.raises(ConfigError, match="device must be one of auto, cpu, cuda, not 'tpu'"), on_device("tpu"):
        pass
