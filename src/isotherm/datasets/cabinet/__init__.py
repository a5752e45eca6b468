"""Simulated thermal pictures of an electrical cabinet, with the truth about each."""

from __future__ import annotations

from isotherm.datasets.cabinet.electrics import FAULT_KINDS, Fault
from isotherm.datasets.cabinet.simulation import MASK_K, CabinetShot, simulate_cabinet

__all__ = ["FAULT_KINDS", "MASK_K", "CabinetShot", "Fault", "simulate_cabinet"]
