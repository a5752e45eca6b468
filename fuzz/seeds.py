"""Small valid inputs of every target, made by the code of the tests: where fuzzing starts."""

from __future__ import annotations

import base64
import io
import json
import sys
from pathlib import Path

import numpy as np

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "formats"), str(TESTS / "runtime")]

from test_format_conformance import SAMPLES  # noqa: E402
from test_sequences import SAMPLES as SEQUENCE_SAMPLES  # noqa: E402

from isotherm.datasets.coco_labels import document_of_coco  # noqa: E402
from isotherm.datasets.label_masks import LabelledMask, png_of_labels  # noqa: E402
from isotherm.datasets.labelme import document_of_labels  # noqa: E402
from isotherm.jobs.limited_wire import encoded  # noqa: E402

LABELS = LabelledMask(np.pad(np.ones((3, 4), np.uint8), 2), ("defect",), ())
CLASSES = LabelledMask(np.arange(12, dtype=np.uint8).reshape(3, 4) % 3, ("crack", "hole"), ())


def seeds() -> dict[str, list[bytes]]:
    """Return what fuzzing of each target starts with."""
    found: dict[str, list[bytes]] = {}
    for name, _, data, _ in SAMPLES:
        found.setdefault(name, []).append(data)
    for name, data in SEQUENCE_SAMPLES:
        found.setdefault(f"sequence-{name}", []).append(data)
    return found | {
        "labelme": [_json(document_of_labels(LABELS, "a.png")), _json(_shapes())],
        "coco": [_json(document_of_coco({"a.png": LABELS})), _json(_runs())],
        "label-picture": [png_of_labels(LABELS), png_of_labels(CLASSES)],
        "weights": _weights(),
        "regions": [bytes([kind]) + text for kind, text in enumerate(_REGIONS)],
        "inference": _inference(),
        "compat": [_json(request) for request in _REQUESTS],
        "child-answer": [b"".join((encoded({"ok": True}, [b"abc", b""]), b"abc"))],
    }


def _json(document: object) -> bytes:
    return json.dumps(document).encode()


_REGIONS = (b"spot one=8,6,3", b"1,2,3,4", b"l=0,0,9.5,3", b"0,0 9,0 9,9", b"8,6,2.5,4")
_PICTURE = base64.b64encode(b"picture").decode()
_REQUESTS = (
    {
        "temple_id": "a",
        "train_test": "train",
        "category": "hot",
        "image": _PICTURE,
        "image_name": "a",
        "image_type": "png",
    },
    {"temple_id": "a", "forceful": True},
    {"temple_id": "a", "image": [_PICTURE] * 2, "image_name": ["a", "b"], "image_type": ["png", "jpg"]},
)


def _shapes() -> dict[str, object]:
    kinds = {"polygon": 3, "rectangle": 2, "circle": 2, "line": 2, "linestrip": 3, "point": 1}
    points = [[1, 1], [5, 2.5], [4, 6]]
    shapes = [{"label": "defect", "shape_type": kind, "points": points[:count]} for kind, count in kinds.items()]
    return {"imageWidth": 8, "imageHeight": 7, "imagePath": "a.png", "shapes": shapes}


def _runs() -> dict[str, object]:
    masks = [{"size": [7, 8], "counts": [9, 3, 44]}, {"size": [7, 8], "counts": "93\\1"}, [[1, 1, 5, 1, 5, 5]]]
    return {
        "images": [{"id": 1, "file_name": "a.png", "width": 8, "height": 7}],
        "categories": [{"id": 3, "name": "defect"}],
        "annotations": [{"id": n, "image_id": 1, "category_id": 3, "segmentation": one} for n, one in enumerate(masks)],
    }


def _inference() -> list[bytes]:
    plain = {"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": [_PICTURE]}]}
    size = {"binary_data_size": 11}
    binary = {"id": "7", "inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "parameters": size}]}
    head = _json(binary)
    return [b"\n" + _json(plain), str(len(head)).encode() + b"\n" + head + b"\x07\0\0\0picture"]


def _weights() -> list[bytes]:
    import torch
    from safetensors.numpy import save

    arrays = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros((0, 2), np.float16)}
    tensors = {name: torch.from_numpy(values) for name, values in arrays.items()}
    found = [save(arrays)]
    for zipped in (True, False):
        stream = io.BytesIO()
        torch.save(tensors, stream, _use_new_zipfile_serialization=zipped)
        found.append(stream.getvalue())
    return found
