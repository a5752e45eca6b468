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


@dataclass(eq=False)
class _Place:
    lock: threading.Lock = field(default_factory=threading.Lock)
    model: Model | None = None


class LoadedModels:
    """Models of both kinds by the id of their version, which never changes what it stands for."""

    def __init__(self, most: int) -> None:
        self._most = max(1, most)
        self._lock = threading.Lock()
        self._places: OrderedDict[str, _Place] = OrderedDict()

    def get(self, key: str, load: Callable[[], Model]) -> Model:
        """Return a model, loaded once however many ask at the same time; a failed load is tried again."""
        with self._lock:
            place = self._places.setdefault(key, _Place())
            self._places.move_to_end(key)
            while len(self._places) > self._most:
                self._places.popitem(last=False)
        with place.lock:
            if place.model is None:
                place.model = load()
            return place.model

    def drop(self, key: str) -> None:
        """Forget a model."""
        with self._lock:
            self._places.pop(key, None)

    def __contains__(self, key: str) -> bool:
        with self._lock:
            place = self._places.get(key)
        return place is not None and place.model is not None
