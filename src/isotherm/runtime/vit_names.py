"""The names that timm and transformers give to the tensors of DINO's transformers, turned into those of its authors."""

from __future__ import annotations

import re

import numpy as np

from isotherm.runtime.weight_sources import Named

_RENAMED = (
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^embeddings\.patch_embeddings\.", "patch_embed.proj."),
    (r"^embeddings\.", ""),
    (r"^(reg_token|register_tokens)$", "storage_tokens"),
    (r"^(?:model\.)?(?:encoder\.)?layer\.(\d+)\.", r"blocks.\1."),
    (r"^layernorm\.", "norm."),
    (r"\.attention\.attention\.(query|key|value)\.", r".attn.\1."),
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.attention\.q_proj\.", ".attn.query."),
    (r"\.attention\.k_proj\.", ".attn.key."),
    (r"\.attention\.v_proj\.", ".attn.value."),
    (r"\.attention\.o_proj\.", ".attn.proj."),
    (r"\.layer_scale([12])\.lambda1$", r".ls\1.gamma"),
    (r"\.gamma_([12])$", r".ls\1.gamma"),
    (r"\.mlp\.up_proj\.", ".mlp.fc1."),
    (r"\.mlp\.down_proj\.", ".mlp.fc2."),
)
_PARTS = ("query", "key", "value")


def authors_names(found: Named) -> Named:
    """Return the tensors with the authors' names, and queries, keys and values as one matrix."""
    named = {_renamed(name): values for name, values in found.items()}
    for start in sorted({name.partition(".attn.")[0] for name in named if ".attn." in name}):
        _join(named, f"{start}.attn.")
    return named


def _renamed(name: str) -> str:
    for pattern, replacement in _RENAMED:
        name = re.sub(pattern, replacement, name)
    return name


def _join(named: Named, start: str) -> None:
    """Join the matrices of one attention; biases that were not learnt (of DINOv3's keys) are zero."""
    matrices = [named.pop(f"{start}{part}.weight") for part in _PARTS if f"{start}{part}.weight" in named]
    if len(matrices) == len(_PARTS):
        biases = [
            named.pop(f"{start}{part}.bias", np.zeros(len(matrix), np.float32))
            for part, matrix in zip(_PARTS, matrices, strict=True)
        ]
        named[f"{start}qkv.weight"], named[f"{start}qkv.bias"] = np.concatenate(matrices), np.concatenate(biases)
    weight = named.get(f"{start}qkv.weight")
    if weight is not None and f"{start}qkv.bias" not in named:
        named[f"{start}qkv.bias"] = np.zeros(len(weight), np.float32)
    mask = named.pop(f"{start}qkv.bias_mask", None)
    if mask is not None:
        # The authors keep the bias of the keys and switch it off by this mask.
        named[f"{start}qkv.bias"] = np.where(mask == 1, named[f"{start}qkv.bias"], 0)
