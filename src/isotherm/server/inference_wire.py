"""Requests and answers of inference as the Open Inference Protocol v2 writes them, in JSON or with binary tensors.

Reference: the protocol and its extension ``binary_tensor_data`` at
https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isotherm.core.errors import ConfigError, FormatError, UsageError
from isotherm.workflows.compat.pictures import from_base64

LENGTH_HEADER = "Inference-Header-Content-Length"
INPUT = "image"
OUTPUTS = ("label", "confidence", "probabilities")
LONGEST_ID = 256
_SIZE = struct.Struct("<I")


@dataclass(frozen=True)
class InferRequest:
    """The encoded images of one request, and what is wanted of the answer.

    Parameters
    ----------
    images
        Whole files of any readable format.
    outputs
        Name of a wanted tensor -> whether it is wanted in binary.
    request_id
        Sent back as it came.
    min_confidence
        Below this probability no category is named; None: as the site is set.
    """

    images: tuple[bytes, ...]
    outputs: Mapping[str, bool]
    request_id: str = ""
    min_confidence: float | None = None


def read_request(body: bytes, header_length: str | None, *, most_images: int) -> InferRequest:
    """Read the body of ``POST .../infer``.

    Parameters
    ----------
    body
        JSON, and behind it the binary tensors where `header_length` says how many bytes the JSON has.
    header_length
        The header ``Inference-Header-Content-Length``, or None.
    most_images
        How many images may be in one request.

    Raises
    ------
    UsageError, FormatError
        The request is not as the protocol says; the message names the field.
    """
    end = _json_end(header_length, len(body))
    try:
        found = json.loads(body[:end])
    except (ValueError, RecursionError) as error:
        raise UsageError("the request is no JSON object") from error
    if not isinstance(found, dict):
        raise UsageError("the request must be a JSON object with inputs")
    images = _images(_input(found), body[end:])
    if not 1 <= len(images) <= most_images:
        raise UsageError(f"{INPUT} must hold 1 to {most_images} elements, not {len(images)}")
    return InferRequest(tuple(images), _wanted(found), _id(found), _min_confidence(found))


def _json_end(header_length: str | None, size: int) -> int:
    if header_length is None:
        return size
    if not header_length.isascii() or not header_length.isdecimal() or not 0 < int(header_length[:12]) <= size:
        raise UsageError(f"{LENGTH_HEADER} must be the bytes of the JSON part, at most {size}")
    return int(header_length)


def _input(found: Mapping[str, Any]) -> Mapping[str, Any]:
    inputs = found.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise UsageError(f"inputs must be a list of one tensor, {INPUT}")
    tensor: dict[str, Any] = inputs[0]
    if tensor.get("name") != INPUT or tensor.get("datatype") != "BYTES":
        raise UsageError(f"the tensor must have the name {INPUT} and the datatype BYTES (encoded images)")
    return tensor


def _images(tensor: Mapping[str, Any], binary: bytes) -> list[bytes]:
    size = _parameters(tensor).get("binary_data_size")
    if size is not None:
        if not _is_count(size) or size != len(binary):
            raise UsageError(f"binary_data_size must be the bytes behind the JSON, {len(binary)}")
        images = _split(binary)
    elif binary:
        raise UsageError("there are bytes behind the JSON and the tensor has no binary_data_size")
    else:
        images = _from_base64(tensor.get("data"))
    _check_shape(tensor.get("shape"), len(images))
    return images


def _check_shape(shape: object, count: int) -> None:
    if shape not in ([count], [count, 1]):
        raise UsageError(f"shape must be [{count}], as many elements as there are")


def _split(binary: bytes) -> list[bytes]:
    """Return the elements of a BYTES tensor: each behind its length, 4 bytes little-endian."""
    found, place = [], 0
    while place < len(binary):
        start = place + _SIZE.size
        if start > len(binary):
            raise FormatError("the binary tensor ends within a length", place)
        place = start + _SIZE.unpack_from(binary, place)[0]
        if place > len(binary):
            raise FormatError("an element of the binary tensor is longer than what is there", start)
        found.append(binary[start:place])
    return found


def _from_base64(data: object) -> list[bytes]:
    """Return images from base64 texts, in a flat list or one element a row."""
    if not isinstance(data, list):
        raise UsageError("data must be a list of base64 texts")
    flat = [each[0] if isinstance(each, list) and len(each) == 1 else each for each in data]
    return [_decoded(place, text) for place, text in enumerate(flat)]


def _decoded(place: int, text: object) -> bytes:
    if not isinstance(text, str):
        raise UsageError(f"data[{place}] must be a base64 text")
    return from_base64(text, f"data[{place}]")


def _wanted(found: Mapping[str, Any]) -> dict[str, bool]:
    usual = _flag(_parameters(found), "binary_data_output")
    outputs = found.get("outputs")
    if outputs is None:
        return dict.fromkeys(OUTPUTS, usual)
    if not isinstance(outputs, list) or not all(isinstance(each, dict) for each in outputs):
        raise UsageError("outputs must be a list of objects with a name")
    wanted = {}
    for each in outputs:
        name = each.get("name")
        if name not in OUTPUTS:
            raise UsageError(f"the outputs are {', '.join(OUTPUTS)}")
        wanted[str(name)] = _flag(_parameters(each), "binary_data", usual)
    return wanted or dict.fromkeys(OUTPUTS, usual)


def _min_confidence(found: Mapping[str, Any]) -> float | None:
    """Return ``parameters.min_confidence`` of a request, None where it has none."""
    value = _parameters(found).get("min_confidence")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ConfigError("min_confidence must be a number from 0 to 1")
    return float(value)


def _parameters(found: Mapping[str, Any]) -> Mapping[str, Any]:
    parameters = found.get("parameters", {})
    if not isinstance(parameters, dict):
        raise UsageError("parameters must be an object")
    return parameters


def _flag(parameters: Mapping[str, Any], name: str, usual: bool = False) -> bool:
    value = parameters.get(name, usual)
    if not isinstance(value, bool):
        raise UsageError(f"{name} must be true or false")
    return value


def _id(found: Mapping[str, Any]) -> str:
    value = found.get("id", "")
    if not isinstance(value, str) or len(value) > LONGEST_ID:
        raise UsageError(f"id must be text of at most {LONGEST_ID} characters")
    return value


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


@dataclass(frozen=True)
class Tensor:
    """One tensor of an answer: texts (``BYTES``) or numbers (``FP64``)."""

    name: str
    values: Sequence[str] | np.ndarray

    def described(self) -> dict[str, Any]:
        """Return name, type and shape."""
        numbers = isinstance(self.values, np.ndarray)
        shape = list(self.values.shape) if isinstance(self.values, np.ndarray) else [len(self.values)]
        return {"name": self.name, "datatype": "FP64" if numbers else "BYTES", "shape": shape}

    def plain(self) -> list[Any]:
        """Return the values in one flat list, row by row."""
        if isinstance(self.values, np.ndarray):
            return [float(value) for value in self.values.ravel()]
        return list(self.values)

    def binary(self) -> bytes:
        """Return the values as the extension writes them, little-endian."""
        if isinstance(self.values, np.ndarray):
            return np.ascontiguousarray(self.values, "<f8").tobytes()
        texts = [value.encode() for value in self.values]
        return b"".join(_SIZE.pack(len(text)) + text for text in texts)


def write_answer(
    head: Mapping[str, Any], tensors: Sequence[Tensor], binary: Mapping[str, bool]
) -> tuple[bytes, dict[str, str]]:
    """Return the body of an answer and its headers; tensors that are wanted in binary stand behind the JSON."""
    outputs, tail = [], []
    for tensor in tensors:
        if binary[tensor.name]:
            data = tensor.binary()
            tail.append(data)
            outputs.append(tensor.described() | {"parameters": {"binary_data_size": len(data)}})
        else:
            outputs.append(tensor.described() | {"data": tensor.plain()})
    text = json.dumps({**head, "outputs": outputs}, ensure_ascii=False).encode()
    if not tail:
        return text, {"Content-Type": "application/json"}
    return b"".join((text, *tail)), {"Content-Type": "application/octet-stream", LENGTH_HEADER: str(len(text))}
