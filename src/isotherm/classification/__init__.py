"""Which category a picture belongs to, how sure that is, and whether it is like anything that was learnt."""

from __future__ import annotations

from isotherm.classification.method import ClassifierMethod
from isotherm.core.registry import Registry, Row

CLASSIFIERS: Registry[ClassifierMethod] = Registry(
    "classifier",
    Row(
        "logistic",
        "isotherm.classification.logistic:METHOD",
        "logistic regression on the features of a frozen network (extra classify to fit it)",
    ),
    Row(
        "small_cnn",
        "isotherm.classification.small_cnn:METHOD",
        "two convolution blocks and three dense layers (extra train to fit it)",
    ),
    Row(
        "finetuned",
        "isotherm.classification.finetuned:METHOD",
        "a network that learnt elsewhere, taught on (extra train to fit it)",
    ),
)

__all__ = ["CLASSIFIERS"]
