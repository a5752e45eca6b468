"""Models in memory, the least recently used one goes first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from isotherm.workflows.classify_model import TrainedClassifier
    from isotherm.workflows.models import TrainedModel

    Model = TrainedClassifier | TrainedModel

MOST_BYTES = 1 << 30
"""Of the files of all models in memory; what they take there grows with it."""


@dataclass(eq=False)
class _Place:
    lock: threading.Lock = field(default_factory=threading.Lock)
    model: Model | None = None
    size: int = 0


class LoadedModels:
    """Models of both kinds by the id of their version, which never changes what it stands for.

    Parameters
    ----------
    most
        So many are kept, at least one.
    most_bytes
        So long may the files of all of them be together; a single one that is longer is kept alone.
    """

    def __init__(self, most: int, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._most_bytes = max(1, most), most_bytes
        self._lock = threading.Lock()
        self._places: OrderedDict[str, _Place] = OrderedDict()

    def get(self, key: str, load: Callable[[], tuple[Model, int]]) -> Model:
        """Return a model, loaded once however many ask at the same time; a failed load is tried again.

        ``load`` returns it with the size of its files [bytes].
        """
        with self._lock:
            place = self._places.setdefault(key, _Place())
            self._places.move_to_end(key)
            while len(self._places) > self._most:
                self._places.popitem(last=False)
        with place.lock:
            if place.model is None:
                place.model, place.size = load()
                self._make_room(key)
            return place.model

    def _make_room(self, key: str) -> None:
        """Forget those that were not used for longest until the files of the others are short enough."""
        with self._lock:
            spent = sum(place.size for place in self._places.values())
            for other in [each for each, place in self._places.items() if each != key and place.size]:
                if spent <= self._most_bytes:
                    return
                spent -= self._places.pop(other).size

    def drop(self, key: str) -> None:
        """Forget a model."""
        with self._lock:
            self._places.pop(key, None)

    def __contains__(self, key: str) -> bool:
        with self._lock:
            place = self._places.get(key)
        return place is not None and place.model is not None
