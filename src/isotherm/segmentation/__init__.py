"""Networks that find defects in maps or frames of heated parts, and how they learn; needs torch and MONAI."""

from __future__ import annotations

from isotherm.core.registry import Registry, Row
from isotherm.segmentation.network import Network

NETWORKS: Registry[Network] = Registry(
    "segmentation network",
    Row("unet", "isotherm.segmentation.unet:NETWORK", "U-Net over maps or frames as channels", "train"),
)

__all__ = ["NETWORKS"]
