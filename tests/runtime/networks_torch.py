"""ResNets and DINO's transformers written a second time, with torch, as the references of the graphs."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class Residual(nn.Module):
    """Two convolutions of 3 px, or three of 1, 3 and 1 px; the input is added, projected where its shape differs."""

    def __init__(self, before: int, width: int, after: int, stride: int, *, bottleneck: bool) -> None:
        super().__init__()
        if bottleneck:
            self.conv1 = nn.Conv2d(before, width, 1, bias=False)
            self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
            self.conv3 = nn.Conv2d(width, after, 1, bias=False)
            self.bn3 = nn.BatchNorm2d(after)
        else:
            self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
            self.conv2 = nn.Conv2d(width, after, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(width), nn.BatchNorm2d(self.conv2.out_channels)
        self.bottleneck = bottleneck
        self.downsample = None
        if stride > 1 or before != after:
            self.downsample = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.bottleneck:
            y = self.bn3(self.conv3(functional.relu(y)))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """The whole classifier; `widening` multiplies the channels inside the blocks."""

    def __init__(self, blocks: tuple[int, ...], *, bottleneck: bool, widening: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        before = 64
        for stage, count in enumerate(blocks):
            width = 64 * 2**stage
            after = width * 4 if bottleneck else width
            layer = nn.Sequential()
            for block in range(count):
                stride = 2 if stage and not block else 1
                layer.append(Residual(before, width * widening, after, stride, bottleneck=bottleneck))
                before = after
            setattr(self, f"layer{stage + 1}", layer)
        self.fc = nn.Linear(before, 10)

    def maps(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the outputs of the four stages."""
        found, y = [], functional.max_pool2d(functional.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for stage in range(1, 5):
            y = getattr(self, f"layer{stage}")(y)
            found.append(y)
        return found


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: torch.Tensor, turn: torch.Tensor | None) -> torch.Tensor:
        count, length, width = x.shape
        q, k, v = self.qkv(x).view(count, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if turn is not None:
            q, k = (rotate(part, turn) for part in (q, k))
        y = functional.scaled_dot_product_attention(q, k, v)
        return self.proj(y.transpose(1, 2).reshape(count, length, width))


def rotate(x: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
    """Turn the pairs (i, i + half) of the last patches' features; the tokens before them stay."""
    special, patches = x[:, :, : -len(angles)], x[:, :, -len(angles) :]
    pairs = torch.complex(*patches.chunk(2, -1)) * torch.exp(1j * angles)
    return torch.cat([special, torch.cat([pairs.real, pairs.imag], -1)], 2)


class Scale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gamma


class Layer(nn.Module):
    def __init__(self, width: int, heads: int, epsilon: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, epsilon), nn.LayerNorm(width, epsilon)
        self.attn, self.ls1, self.ls2 = Attention(width, heads), Scale(width), Scale(width)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})

    def forward(self, x: torch.Tensor, turn: torch.Tensor | None) -> torch.Tensor:
        x = x + self.ls1(self.attn(self.norm1(x), turn))
        return x + self.ls2(self.mlp["fc2"](functional.gelu(self.mlp["fc1"](self.norm2(x)))))


class Transformer(nn.Module):
    """ViT-S; with learnt positions on a square of `positions` patches, or (0) rotary ones and four register tokens."""

    def __init__(self, patch: int, positions: int) -> None:
        super().__init__()
        width, self.positions = 384, positions
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.mask_token = nn.Parameter(torch.zeros(1, width))
        if positions:
            self.pos_embed = nn.Parameter(torch.zeros(1, 1 + positions**2, width))
        else:
            self.storage_tokens = nn.Parameter(torch.zeros(1, 4, width))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, patch, patch)})
        epsilon = 1e-6 if positions else 1e-5
        self.blocks = nn.ModuleList(Layer(width, 6, epsilon) for _ in range(12))
        self.norm = nn.LayerNorm(width, epsilon)

    def maps(self, x: torch.Tensor) -> torch.Tensor:
        """Return the patch tokens (N D h w); the patches divide the picture."""
        y = self.patch_embed["proj"](x)
        rows, columns = y.shape[2:]
        if self.positions:
            square = self.pos_embed[:, 1:].unflatten(1, (self.positions, -1)).permute(0, 3, 1, 2)
            y = y + functional.interpolate(square, (rows, columns), mode="bicubic", align_corners=False)
            special, turn = self.cls_token + self.pos_embed[:, :1], None
        else:
            special, turn = torch.cat([self.cls_token, self.storage_tokens], 1), angles(rows, columns)
        tokens = torch.cat([special.expand(len(x), -1, -1), y.flatten(2).transpose(1, 2)], 1)
        for block in self.blocks:
            tokens = block(tokens, turn)
        patches = self.norm(tokens)[:, special.shape[1] :]
        return patches.transpose(1, 2).unflatten(2, (rows, columns))


def angles(rows: int, columns: int) -> torch.Tensor:
    """Return (P 32): for each patch 16 angles from its row and 16 from its column, which lie in -1..1."""
    periods = 100.0 ** (torch.arange(16) / 16)
    found = [
        torch.cat(
            [2 * torch.pi * place / periods for place in (2 * (row + 0.5) / rows - 1, 2 * (column + 0.5) / columns - 1)]
        )
        for row in range(rows)
        for column in range(columns)
    ]
    return torch.stack(found)


def randomised(network: nn.Module, seed: int = 0) -> nn.Module:
    """Fill every tensor with random numbers that keep the activations of ordinary size."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, values in network.state_dict().items():
            if not values.dtype.is_floating_point:
                continue
            if name.endswith("running_var"):
                values.uniform_(0.5, 2, generator=generator)
            elif values.ndim > 1:
                values.normal_(0, (2 / values[0].numel()) ** 0.5, generator=generator)
            elif name.endswith(("weight", "gamma")):
                values.uniform_(0.5, 1.5, generator=generator)
            else:
                values.normal_(0, 0.1, generator=generator)
    return network.eval()
