"""Learn what normal looks like, score what is not."""

from __future__ import annotations

from isotherm.anomaly.method import AnomalyMethod
from isotherm.core.registry import Registry, Row

ANOMALY_METHODS: Registry[AnomalyMethod] = Registry(
    "anomaly method",
    Row("patchcore", "isotherm.anomaly.patchcore:METHOD", "distance to the nearest of a core set of normal patches"),
    Row("padim", "isotherm.anomaly.padim:METHOD", "Mahalanobis distance to a Gaussian of normal features per position"),
    Row(
        "autoencoder",
        "isotherm.anomaly.autoencoder:METHOD",
        "error of a network that learnt to redraw normal images",
        "train",
    ),
    Row(
        "unet_autoencoder",
        "isotherm.anomaly.unet_autoencoder:METHOD",
        "what a U-Net takes off that learnt to take noise off normal images",
        "train",
    ),
    Row(
        "anomalydino",
        "isotherm.anomaly.anomalydino:METHOD",
        "cosine distance to the nearest normal patch in a DINO transformer (weights: isotherm backbones)",
    ),
    Row("dfm", "isotherm.anomaly.dfm:METHOD", "what the main components of normal features cannot rebuild"),
    Row("draem", "isotherm.anomaly.draem:METHOD", "probability of a fault, learnt from simulated faults", "train"),
    Row(
        "efficientad",
        "isotherm.anomaly.efficientad:METHOD",
        "where small students, taught on normal images only, contradict their teacher",
        "train",
    ),
    Row("fastflow", "isotherm.anomaly.fastflow:METHOD", "likelihood of feature maps under a normalising flow", "train"),
    Row("cflow", "isotherm.anomaly.cflow:METHOD", "likelihood of feature vectors, given where they are", "train"),
    Row(
        "statistics",
        "isotherm.anomaly.statistics:METHOD",
        "how far hot parts stand out from their object, without a network",
    ),
    Row("fusion", "isotherm.anomaly.fusion:METHOD", "maps of one or several methods over what is normal at each place"),
)

__all__ = ["ANOMALY_METHODS"]
