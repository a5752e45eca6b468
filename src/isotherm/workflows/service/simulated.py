"""A site full of simulated pictures, for whoever has none at hand: labelled ones, others to judge, a first training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from isotherm.core.errors import ConflictError
from isotherm.datasets.cabinet import encode_shot, simulate_cabinet
from isotherm.store.tables import Job, Site
from isotherm.workflows.service.access import Actor, demand_everywhere
from isotherm.workflows.service.images import Upload, take_in
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import create_site
from isotherm.workflows.service.training import request_training

NAME = "Simulated cabinets"
NOTE = "Simulated thermal pictures of an electrical cabinet (docs/simulator.md); nothing here was measured."
LOADS = {"low load": 0.2, "normal load": 0.6, "full load": 1.0}
"""What a model is to tell apart; hot spots are found by rules, whatever the load."""
LEARNT, TESTED, JUDGED = 5, 2, 2
"""How many pictures of each kind."""
_FAULTS = ("loose_joint", "overload")
"""What is wrong in the pictures to be judged."""


@dataclass(frozen=True)
class _Batch:
    kind: str
    split: str
    uploads: list[Upload]


def make_simulated_site(service: Service, actor: Actor) -> tuple[Site, Job]:
    """Make the site, take its pictures in and ask for its first model; needs the scope admin for all sites.

    Raises
    ------
    ConflictError
        There are as many such sites as there are names for them.
    """
    demand_everywhere(actor, "admin")
    site = _new_site(service, actor)
    for batch in _batches():
        category = batch.kind if batch.split else None
        take_in(service, actor, site.id, batch.uploads, category=category, split=batch.split)
    return site, request_training(service, actor, site.id)


def _new_site(service: Service, actor: Actor) -> Site:
    for number in range(1, 100):
        try:
            return create_site(service, actor, NAME if number == 1 else f"{NAME} {number}", note=NOTE)
        except ConflictError:
            continue
    raise ConflictError(f"there are 99 sites called {NAME!r} already; remove one")


def _batches() -> Iterator[_Batch]:
    """Yield the pictures; those to be judged have a fault, and names that do not tell what they are."""
    seed = 0
    for kind, load in LOADS.items():
        for split, count in (("train", LEARNT), ("test", TESTED), ("", JUDGED)):
            uploads = []
            for number in range(count):
                seed += 1
                name = f"{kind} {split} {number + 1}.tiff" if split else f"cabinet {seed:02d}.tiff"
                shot = simulate_cabinet(seed, None if split else _FAULTS[number], load=load)
                uploads.append(Upload(name, encode_shot(shot)))
            yield _Batch(kind, split, uploads)
