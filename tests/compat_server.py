"""A server with the per-site API in this process, pictures that can be told apart, and a worker in a thread."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

from isotherm.core.errors import IsothermError
from isotherm.jobs import queue
from isotherm.jobs.context import JobContext
from isotherm.server import compat, inference, problems
from isotherm.server.guard import Guard
from isotherm.server.metrics import Metrics
from isotherm.server.settings import ServerSettings
from isotherm.workflows.compat.config import CompatConfig, CompatSettings, below
from isotherm.workflows.service.kinds import KINDS
from isotherm.workflows.service.service import Limits, Service

LOGISTIC = CompatSettings(network="logistic")


def png(level: float, seed: int = 0, *, size: tuple[int, int] = (24, 32)) -> bytes:
    """Return a noisy grey picture (H W), brighter with `level` in its left half."""
    values = np.random.default_rng(seed).normal(60, 5, size)
    values[:, : size[1] // 2] += level
    stream = io.BytesIO()
    Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def text(data: bytes) -> str:
    """Return bytes as base64."""
    return base64.b64encode(data).decode()


def saved(category: str, data: bytes, name: str, **changes: Any) -> dict[str, Any]:
    """Return a request of save_data."""
    whole = {"temple_id": "t", "train_test": "train", "category": category, "image_type": "png"}
    return whole | {"image": text(data), "image_name": name} | changes


class Compat:
    """Service, folders and HTTP client of one server."""

    def __init__(self, service: Service, config: CompatConfig, settings: ServerSettings) -> None:
        self.service, self.config = service, config
        self.http = TestClient(_app(service, settings), base_url="http://127.0.0.1")

    def post(self, route: str, body: Any, **parts: Any) -> tuple[int, dict[str, Any]]:
        """Send a request; returns status and answer."""
        answer = self.http.post(f"/api/{route}", json=body, **parts)
        return answer.status_code, answer.json()

    def teach(self, count: int = 6, temple: str = "t") -> None:
        """Save pictures of two categories, train and test."""
        for category, level in (("cold", 0.0), ("hot", 120.0)):
            for number in range(count):
                for split, shift in (("train", 0), ("test", 1000)):
                    picture = png(level, number + shift + int(level))
                    body = saved(category, picture, f"{category} {number}", temple_id=temple, train_test=split)
                    status, answer = self.post("save_data", body)
                    assert (status, answer) == (200, {"error_msg": "All OK"})

    @contextmanager
    def worker(self) -> Iterator[None]:
        """Do jobs in a thread, as a worker's child process would."""
        stop = threading.Event()
        thread = threading.Thread(target=self._work, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(60)

    def _work(self, stop: threading.Event) -> None:
        kinds = KINDS(self.service)
        while not stop.wait(0.02):
            lease = queue.claim(self.service.database, "tests", list(kinds))
            if lease is not None:
                self._do(lease)

    def _do(self, lease: queue.Lease) -> None:
        context = JobContext(self.service.database, lease)
        try:
            ended = {"result": KINDS(self.service)[context.kind].function(context)}
            context.flush()
        except IsothermError as error:
            ended = {"error": str(error)}
        with self.service.database.write() as session:
            queue.finish(session, lease, "failed" if "error" in ended else "succeeded", **ended)


@contextmanager
def compat_server(folder: Path, settings: CompatSettings = LOGISTIC, **server: Any) -> Iterator[Compat]:
    """Give a server over an empty folder; pictures are decoded in this process."""
    config = below(folder / "root", settings=settings)
    with Service.open(config.app_path, limits=Limits(children=0)) as service:
        yield Compat(service, config, ServerSettings(compat=config, **server))


def _app(service: Service, settings: ServerSettings) -> FastAPI:
    """Return the application with these two protocols alone; making all routes takes a second."""
    app = FastAPI()
    app.state.service, app.state.settings, app.state.metrics = service, settings, Metrics(service)
    problems.install(app)
    app.add_middleware(Guard, settings=settings, metrics=app.state.metrics)
    app.include_router(compat.router(service, settings.compat))
    app.include_router(inference.router(service))
    return app
