"""Networks that turn pictures into feature maps, by name; none is imported before it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isotherm.core.registry import Registry, Row

if TYPE_CHECKING:
    from isotherm.runtime.backbone import Backbone

BACKBONES: Registry[Backbone] = Registry(
    "backbone",
    Row(
        "efficientnet_lite0",
        "isotherm.runtime.backbone_efficientnet:EFFICIENTNET_LITE0",
        "the fastest; its weights are part of the base install",
    ),
    Row(
        "efficientnet_lite1",
        "isotherm.runtime.backbone_efficientnet:EFFICIENTNET_LITE1",
        "a deeper Lite0",
        "backbones",
    ),
    Row(
        "efficientnet_lite2",
        "isotherm.runtime.backbone_efficientnet:EFFICIENTNET_LITE2",
        "a deeper and wider Lite0",
        "backbones",
    ),
    Row("resnet18", "isotherm.runtime.backbone_resnet:RESNET18", "the small one of the anomaly literature"),
    Row("resnet50", "isotherm.runtime.backbone_resnet:RESNET50", "residual network of 50 layers"),
    Row(
        "wide_resnet50_2",
        "isotherm.runtime.backbone_resnet:WIDE_RESNET50_2",
        "twice as wide; what PatchCore and PaDiM were published with",
    ),
    Row("vgg16", "isotherm.runtime.backbone_vgg:VGG16", "plain convolutions; takes the weights of Keras too"),
    Row("dinov2_vits14", "isotherm.runtime.backbone_vit:DINOV2_VITS14", "self-supervised transformer, 14 px patches"),
    Row("dinov3_vits16", "isotherm.runtime.backbone_vit:DINOV3_VITS16", "self-supervised transformer, 16 px patches"),
)
