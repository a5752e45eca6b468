"""Self-supervised vision transformers, size S: DINOv2 with patches of 14 px and DINOv3 with patches of 16 px.

The feature map is the last layer's patch tokens after the closing normalisation, without class and register tokens.
Where the patches do not divide the picture, it is stretched a little to whole patches. DINOv2's learnt positions are
interpolated to the grid (bicubic); DINOv3 turns queries and keys by the patches' places.

References
----------
M. Oquab et al., DINOv2: learning robust visual features without supervision (2023); O. Siméoni et al., DINOv3 (2025),
section 3.2 (rotary positions in a box from -1 to 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import openvino as ov
from jaxtyping import Float32
from openvino import opset13 as ops

from isotherm.runtime.backbone import Backbone
from isotherm.runtime.layers import Tensors, constant, integers, resized
from isotherm.runtime.resampling import bicubic
from isotherm.runtime.vit_names import authors_names
from isotherm.runtime.weight_sources import Download, Files

WIDTH, DEPTH, HEADS, MLP_WIDTH = 384, 12, 6, 1536
HEAD_WIDTH = WIDTH // HEADS
ROTARY_BASE = 100.0


@dataclass(frozen=True)
class Plan:
    """The numbers in which the two differ.

    Parameters
    ----------
    patch
        Side of a patch [px].
    positions
        Side of the grid of learnt positions [patches]; 0 where positions are rotary.
    registers
        Number of register tokens.
    epsilon
        Added to the variance by the normalisations.
    """

    patch: int
    positions: int
    registers: int
    epsilon: float

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the tensors of the network, by the names of its authors."""
        shapes: dict[str, tuple[int, ...]] = {
            "cls_token": (1, 1, WIDTH),
            "patch_embed.proj.weight": (WIDTH, 3, self.patch, self.patch),
            "patch_embed.proj.bias": (WIDTH,),
            "norm.weight": (WIDTH,),
            "norm.bias": (WIDTH,),
        }
        if self.positions:
            shapes["pos_embed"] = (1, 1 + self.positions**2, WIDTH)
        if self.registers:
            shapes["storage_tokens"] = (1, self.registers, WIDTH)
        for block in range(DEPTH):
            shapes |= {f"blocks.{block}.{part}": shape for part, shape in _BLOCK.items()}
        return shapes


_BLOCK: dict[str, tuple[int, ...]] = {
    "norm1.weight": (WIDTH,),
    "norm1.bias": (WIDTH,),
    "attn.qkv.weight": (3 * WIDTH, WIDTH),
    "attn.qkv.bias": (3 * WIDTH,),
    "attn.proj.weight": (WIDTH, WIDTH),
    "attn.proj.bias": (WIDTH,),
    "ls1.gamma": (WIDTH,),
    "norm2.weight": (WIDTH,),
    "norm2.bias": (WIDTH,),
    "mlp.fc1.weight": (MLP_WIDTH, WIDTH),
    "mlp.fc1.bias": (MLP_WIDTH,),
    "mlp.fc2.weight": (WIDTH, MLP_WIDTH),
    "mlp.fc2.bias": (WIDTH,),
    "ls2.gamma": (WIDTH,),
}


def _maps(plan: Plan, tensors: Tensors, pixels: ov.Node, strides: Sequence[int]) -> list[ov.Node]:
    height, width = (length.get_length() for length in list(pixels.get_output_partial_shape(0))[2:])
    rows, columns = max(1, round(height / plan.patch)), max(1, round(width / plan.patch))
    grid = _Grid(plan, tensors, rows, columns)
    node = grid.tokens(_stretched(pixels, (rows * plan.patch, columns * plan.patch), (height, width)))
    for block in range(DEPTH):
        node = _block(grid, node, f"blocks.{block}.")
    node = _norm(grid, node, "norm")
    prefix = 1 + plan.registers
    patches = ops.slice(node, integers(prefix), integers(prefix + rows * columns), integers(1), integers(1))
    turned = ops.transpose(patches, integers(0, 2, 1))
    return [ops.reshape(turned, integers(-1, WIDTH, rows, columns), False)] * len(strides)


def _stretched(pixels: ov.Node, size: tuple[int, int], given: tuple[int, int]) -> ov.Node:
    if size == given:
        return pixels
    return resized(pixels, size)


@dataclass(frozen=True, eq=False)
class _Grid:
    """The network's tensors for a picture of so many rows and columns of patches."""

    plan: Plan
    tensors: Tensors
    rows: int
    columns: int

    @property
    def length(self) -> int:
        """Return the number of tokens T."""
        return 1 + self.plan.registers + self.rows * self.columns

    def tokens(self, pixels: ov.Node) -> ov.Node:
        """Return (N T D): class and register tokens, and one token for each patch."""
        plan, tensors = self.plan, self.tensors
        kernel, step = constant(tensors["patch_embed.proj.weight"]), [plan.patch] * 2
        patches = ops.convolution(pixels, kernel, step, [0, 0], [0, 0], [1, 1])
        flat = ops.reshape(patches, integers(-1, WIDTH, self.rows * self.columns), False)
        # Empty places before the patches, which the sum then fills: so the number of pictures may stay open.
        first = 1 + plan.registers
        padded = ops.pad(
            ops.transpose(flat, integers(0, 2, 1)),
            integers(0, first, 0),
            integers(0, 0, 0),
            "constant",
            ops.constant(np.float32(0)),
        )
        return ops.add(padded, constant(self._added()[None]))

    def _added(self) -> Float32[np.ndarray, "T D"]:
        """Return what is added to the tokens: bias and position of the patches, and the tokens without a patch."""
        tensors = self.tensors
        patches = np.tile(tensors["patch_embed.proj.bias"], (self.rows * self.columns, 1))
        special = tensors["cls_token"][0]
        if self.plan.registers:
            special = np.concatenate([special, tensors["storage_tokens"][0]])
        if self.plan.positions:
            learnt = tensors["pos_embed"][0]
            special = special + learnt[:1]
            square = learnt[1:].reshape(self.plan.positions, self.plan.positions, WIDTH)
            patches = patches + bicubic(square, (self.rows, self.columns)).reshape(-1, WIDTH)
        return np.concatenate([special, patches]).astype(np.float32)

    def rotation(self) -> tuple[Float32[np.ndarray, "T K"], Float32[np.ndarray, "T K"]]:
        """Return cosine and sine of the angles by which each token's queries and keys are turned (K: head width)."""
        centres = [2 * (np.arange(count) + 0.5) / count - 1 for count in (self.rows, self.columns)]
        places = np.stack(np.meshgrid(*centres, indexing="ij"), -1).reshape(-1, 2)
        periods = ROTARY_BASE ** (np.arange(HEAD_WIDTH // 4) * 4 / HEAD_WIDTH)
        angles = np.tile((2 * np.pi * places[:, :, None] / periods).reshape(len(places), -1), 2)
        # Tokens without a patch are not turned.
        angles = np.pad(angles, ((1 + self.plan.registers, 0), (0, 0)))
        return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def _block(grid: _Grid, node: ov.Node, name: str) -> ov.Node:
    tensors = grid.tensors
    attended = _attention(grid, _norm(grid, node, f"{name}norm1"), f"{name}attn.")
    node = ops.add(node, ops.multiply(attended, constant(tensors[f"{name}ls1.gamma"])))
    inner = ops.gelu(_linear(tensors, _norm(grid, node, f"{name}norm2"), f"{name}mlp.fc1"), "erf")
    return ops.add(node, ops.multiply(_linear(tensors, inner, f"{name}mlp.fc2"), constant(tensors[f"{name}ls2.gamma"])))


def _attention(grid: _Grid, node: ov.Node, name: str) -> ov.Node:
    weight = np.split(grid.tensors[f"{name}qkv.weight"], 3)
    bias = np.split(grid.tensors[f"{name}qkv.bias"], 3)
    scale = np.float32(HEAD_WIDTH**-0.5)
    queries, keys, values = (
        _heads(grid, _affine(node, kernel * factor, shift * factor))
        for kernel, shift, factor in zip(weight, bias, (scale, np.float32(1), np.float32(1)), strict=True)
    )
    if not grid.plan.positions:
        turns = [constant(part) for part in grid.rotation()]
        queries, keys = _turned(queries, *turns), _turned(keys, *turns)
    shares = ops.softmax(ops.matmul(queries, keys, False, True), -1)
    joined = ops.transpose(ops.matmul(shares, values, False, False), integers(0, 2, 1, 3))
    return _linear(grid.tensors, ops.reshape(joined, integers(-1, grid.length, WIDTH), False), f"{name}proj")


def _heads(grid: _Grid, node: ov.Node) -> ov.Node:
    split = ops.reshape(node, integers(-1, grid.length, HEADS, HEAD_WIDTH), False)
    return ops.transpose(split, integers(0, 2, 1, 3))


def _turned(node: ov.Node, cosine: ov.Node, sine: ov.Node) -> ov.Node:
    first, second = ops.split(node, ops.constant(np.int64(-1)), 2).outputs()
    quarter = ops.concat([ops.multiply(second, constant(-1.0)), first], -1)
    return ops.add(ops.multiply(node, cosine), ops.multiply(quarter, sine))


def _linear(tensors: Tensors, node: ov.Node, name: str) -> ov.Node:
    return _affine(node, tensors[f"{name}.weight"], tensors[f"{name}.bias"])


def _affine(node: ov.Node, weight: Float32[np.ndarray, "O D"], bias: Float32[np.ndarray, " O"]) -> ov.Node:
    return ops.add(ops.matmul(node, constant(weight), False, True), constant(bias))


def _norm(grid: _Grid, node: ov.Node, name: str) -> ov.Node:
    """Normalise each token over its features."""
    axis = integers(-1)
    centred = ops.subtract(node, ops.reduce_mean(node, axis, True))
    variance = ops.reduce_mean(ops.multiply(centred, centred), axis, True)
    scaled = ops.divide(centred, ops.sqrt(ops.add(variance, constant(grid.plan.epsilon))))
    gain, shift = constant(grid.tensors[f"{name}.weight"]), constant(grid.tensors[f"{name}.bias"])
    return ops.add(ops.multiply(scaled, gain), shift)


def _transformer(name: str, plan: Plan, licence: str, download: Download | None) -> Backbone:
    return Backbone(
        name=name,
        channels={plan.patch: WIDTH},
        strides=(plan.patch,),
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        licence=licence,
        source=Files(plan.shapes(), authors_names, ("mask_token", "head.", "rope_embed."), download),
        maps=partial(_maps, plan),
    )


DINOV2_VITS14 = _transformer(
    "dinov2_vits14",
    Plan(patch=14, positions=37, registers=0, epsilon=1e-6),
    "Apache-2.0",
    Download(
        url="https://huggingface.co/facebook/dinov2-small/resolve/ed25f3a31f01632728cabb09d1542f84ab7b0056/model.safetensors",
        sha256="ae1e99fcefd534ed978cdeb8326f08030c96e28b7a81ffcbc98a857c84d14be1",
        megabytes=88,
    ),
)
# Its publisher gives the weights to registered users only.
DINOV3_VITS16 = _transformer(
    "dinov3_vits16", Plan(patch=16, positions=0, registers=4, epsilon=1e-5), "DINOv3 License", None
)
