"""Networks that find defects in maps or frames of heated parts, and how they learn; needs torch and MONAI."""

from __future__ import annotations

from isotherm.core.registry import Registry, Row
from isotherm.segmentation.network import Network

NETWORKS: Registry[Network] = Registry(
    "segmentation network",
    Row("unet", "isotherm.segmentation.unet:NETWORK", "U-Net over maps or frames as channels", "train"),
    Row("unet++", "isotherm.segmentation.unet_plus_plus:NETWORK", "U-Net++ with deep supervision", "train"),
    Row(
        "attunet",
        "isotherm.segmentation.attention_unet:NETWORK",
        "Attention U-Net: gates on what passes beside the way up",
        "train",
    ),
    Row("unet3d", "isotherm.segmentation.volumes:UNET3D", "3-D U-Net over frames", "train"),
    Row("unet++3d", "isotherm.segmentation.volumes:UNET_PLUS_PLUS_3D", "3-D U-Net++ over frames", "train"),
    Row("lstm", "isotherm.segmentation.pixels:LSTM", "LSTM over the frames of each pixel by itself", "train"),
    Row("cnn1d", "isotherm.segmentation.pixels:CNN1D", "convolutions over the frames of each pixel by itself", "train"),
    Row("pca_unet", "isotherm.segmentation.component_unets:PCA_UNET", "U-Net over the frames' components", "train"),
    Row("seqpca", "isotherm.segmentation.component_unets:SEQPCA", "3-D U-Net++ with a branch of components", "train"),
)

__all__ = ["NETWORKS"]
