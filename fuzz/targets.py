"""What is fuzzed: every parser of bytes or text that come from elsewhere, and the errors with which it may refuse them.

A target takes bytes and returns whether they were read. Anything but the named refusals is a finding; so are more than
ten seconds and more than two gigabytes.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

# No program of another maker is started: its own errors are not ours to find.
os.environ["ISOTHERM_DJI_READER"] = "none"
os.environ.pop("ISOTHERM_DJI_SDK", None)

from isotherm.core.errors import ConfigError, DataError, IsothermError, ModelError, TooLargeError
from isotherm.datasets.coco_labels import labels_of_coco
from isotherm.datasets.label_masks import labels_from_picture
from isotherm.datasets.labelme import LabelMeRules, classes_in, labels_of_document, parsed_document
from isotherm.formats.reader import ReadHints
from isotherm.formats.reading import FORMATS
from isotherm.formats.sequences import SEQUENCES
from isotherm.jobs.limited_wire import receive
from isotherm.measurement.shapes import parse_marked
from isotherm.runtime.weight_files import HDF5_SIGNATURE, read_tensors
from isotherm.server.inference_wire import read_request
from isotherm.testing.fuzz import Attempt, opening_with, reading_with
from isotherm.workflows.compat import requests

Target = Callable[[bytes], bool]
MOST_BYTES = 1 << 20
SCALE = ReadHints(step=0.1, offset=-100.0, unit="c")
HINTS = {
    "flir": (ReadHints(), ReadHints(frame=-1)),
    "tiff": (ReadHints(), SCALE),
    "png16": (ReadHints(), SCALE),
    "picture": (ReadHints(), ReadHints(scale="10.0,60.0", unit="c")),
}
"""With what hints a reader reads, where that leads to other code."""
NAMED = Path("fuzzed")


def refusing(*refusals: type[Exception]) -> Callable[[Callable[[bytes], object]], Target]:
    """Return what makes a target of a parser that may refuse with these errors."""

    def target_of(parse: Callable[[bytes], object]) -> Target:
        def target(data: bytes) -> bool:
            try:
                parse(data)
            except refusals:
                return False
            return True

        return target

    return target_of


def hinted(attempt: Attempt, hints: tuple[ReadHints, ...], data: bytes) -> bool:
    """Read with each of some hints."""
    return sum(attempt(data, one) for one in hints) > 0


@refusing(DataError)
def labelme(data: bytes) -> object:
    """Paint the labels of a document of LabelMe."""
    document = parsed_document(data, NAMED)
    classes_in([document])
    return labels_of_document(document, "fuzzed", LabelMeRules())


@refusing(DataError)
def coco(data: bytes) -> object:
    """Paint the labels of a document of COCO."""
    return labels_of_coco(parsed_document(data, NAMED), "fuzzed")


@refusing(DataError)
def label_picture(data: bytes) -> object:
    """Read a mask that is a picture."""
    return labels_from_picture(data, "fuzzed")


@refusing(ModelError)
def weights(data: bytes) -> object:
    """Read tensors of safetensors and of torch; those of Keras are read by HDF5's own library, which is not ours."""
    return None if data.startswith(HDF5_SIGNATURE) else read_tensors(data, NAMED)


@refusing(ConfigError)
def regions(data: bytes) -> object:
    """Read what people write behind ``--spot``, ``--line`` ...; the kind is the first byte."""
    kind = ("spot", "box", "line", "polygon", "ellipse")[data[0] % 5] if data else "spot"
    return parse_marked(kind, data[1:].decode("utf-8", "replace"), set())


@refusing(IsothermError)
def inference(data: bytes) -> object:
    """Read a request of the Open Inference Protocol; what stands before the first line's end is the header."""
    header, _, body = data.partition(b"\n")
    return read_request(body, header.decode("latin-1") or None, most_images=8)


@refusing(ValueError, RecursionError)
def compat(data: bytes) -> object:
    """Read the three requests of the compatibility API; what is no JSON never comes so far."""
    body = json.loads(data)
    for parse in (
        partial(requests.save_data_of, most_bytes=MOST_BYTES),
        requests.make_model_of,
        partial(requests.predict_of, most_bytes=MOST_BYTES, most_images=8),
    ):
        refusing(IsothermError)(parse)(body)
    return body


@refusing(EOFError, TooLargeError, ValueError)
def child_answer(data: bytes) -> object:
    """Read what a limited child answers: it has read hostile bytes and may say anything."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            theirs.setblocking(False)
            theirs.send(data[:65536] or b"\0")
        return receive(ours, MOST_BYTES)


def _formats() -> dict[str, Target]:
    plain = (ReadHints(),)
    readers = {
        name: partial(hinted, reading_with(FORMATS.get(name)), HINTS.get(name, plain)) for name in FORMATS.names()
    }
    sequences = {
        f"sequence-{name}": partial(hinted, opening_with(SEQUENCES.get(name)), plain) for name in SEQUENCES.names()
    }
    return readers | sequences


OTHERS: dict[str, Target] = {
    "labelme": labelme,
    "coco": coco,
    "label-picture": label_picture,
    "weights": weights,
    "regions": regions,
    "inference": inference,
    "compat": compat,
    "child-answer": child_answer,
}
TARGETS: dict[str, Target] = _formats() | OTHERS
