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
KINDS = ("healthy", "loose joint", "overload")
LEARNT, TESTED, JUDGED = 6, 2, 2
"""How many pictures of each kind."""
_FAULTS = {"healthy": None, "loose joint": "loose_joint", "overload": "overload"}


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
    """Yield the pictures; those without a split are to be judged, and their names do not tell what they are."""
    seed = 0
    for kind in KINDS:
        for split, count in (("train", LEARNT), ("test", TESTED), ("", JUDGED)):
            uploads = []
            for number in range(1, count + 1):
                seed += 1
                name = f"{kind} {split} {number}.tiff" if split else f"cabinet {seed:02d}.tiff"
                shot = simulate_cabinet(seed, _FAULTS[kind], load=0.9)
                uploads.append(Upload(name, encode_shot(shot)))
            yield _Batch(kind, split, uploads)
