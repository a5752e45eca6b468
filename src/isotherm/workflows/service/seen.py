"""What the images are that a model has learnt from: when they were taken, by which cameras, how hot they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from isotherm.store.pieces import in_pieces
from isotherm.store.tables import Image

MOST_NAMED = 10
NEVER_SAW = "never_saw"
"""Where in the card of an anomaly model stands what it has never seen, in one sentence."""
# Not whole images: there may be many, and all that was found out about them is of no use here.
_COLUMNS = (
    Image.taken_at,
    Image.created_at,
    Image.kind,
    Image.width,
    Image.height,
    Image.facts["camera"].as_string().label("camera"),
    Image.facts["min_c"].as_float().label("min_c"),
    Image.facts["max_c"].as_float().label("max_c"),
)


def seen_in(session: Session, image_ids: Sequence[str]) -> dict[str, Any]:
    """Return what these images are, so that a user knows where a model is at home; plain values.

    ``from`` and ``until`` (ISO 8601; None without images), how many come from which ``cameras``, are of which ``kinds``
    and ``sizes``, and the least and highest temperature ``min_c``, ``max_c`` [°C] (None where none is known).
    """
    rows = list(_rows(session, image_ids))
    taken = sorted(row.taken_at or row.created_at for row in rows)
    known = [row for row in rows if row.min_c is not None and row.max_c is not None]
    return {
        "from": taken[0].isoformat() if taken else None,
        "until": taken[-1].isoformat() if taken else None,
        "cameras": _named(row.camera or "unknown" for row in rows),
        "kinds": _named(row.kind for row in rows),
        "sizes": _named(f"{row.width} x {row.height}" for row in rows),
        "min_c": min((row.min_c for row in known), default=None),
        "max_c": max((row.max_c for row in known), default=None),
    }


def _rows(session: Session, ids: Sequence[str]) -> Iterator[Any]:
    for piece in in_pieces(ids):
        yield from session.execute(select(*_COLUMNS).where(Image.id.in_(piece)))


def _named(values: Iterable[str]) -> dict[str, int]:
    """Return how often each value comes, the most frequent ones."""
    return dict(Counter(values).most_common(MOST_NAMED))
