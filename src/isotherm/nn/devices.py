"""What torch finds to compute on."""

from __future__ import annotations

from typing import Any

import torch

from isotherm.nn.fitting import has_bfloat16


def described() -> dict[str, Any]:
    """Return torch's version, the CUDA that it was built for (None: none), and the devices that it can use."""
    cards = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    return {
        "version": torch.__version__,
        "cuda": torch.version.cuda,
        "devices": [torch.cuda.get_device_name(number) for number in cards],
        "bfloat16_on_processor": has_bfloat16(torch.device("cpu")),
    }


def product_error() -> float | None:
    """Return the largest relative error of a product of matrices on the first CUDA device; None where there is none."""
    if not torch.cuda.is_available():
        return None
    generator = torch.Generator().manual_seed(0)
    left, right = torch.rand(512, 512, generator=generator), torch.rand(512, 512, generator=generator)
    expected = left.double() @ right.double()
    found = (left.cuda() @ right.cuda()).cpu().double()
    return float(((found - expected).abs() / expected).max())
