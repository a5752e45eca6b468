"""Simulated thermal pictures of an electrical cabinet, with the truth about each (docs/simulator.md)."""

from __future__ import annotations

from isotherm.datasets.cabinet.electrics import FAULT_KINDS, Fault
from isotherm.datasets.cabinet.inspection import Truth, encode_shot, write_inspection
from isotherm.datasets.cabinet.simulation import MASK_K, MASK_SHARE, CabinetShot, simulate_cabinet

__all__ = [
    "FAULT_KINDS",
    "MASK_K",
    "MASK_SHARE",
    "CabinetShot",
    "Fault",
    "Truth",
    "encode_shot",
    "simulate_cabinet",
    "write_inspection",
]
