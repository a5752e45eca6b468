"""Uploads a second of 8 clients, their waiting times, and those of health and a page meanwhile.

python benchmarks/service_load.py [--seconds 60] [--clients 8] [--training] [--url http://127.0.0.1:8000]

Without --url a server of its own is started in a temporary folder, as `isotherm serve` does, and ended. Each client
sends radiometric R-JPEGs of 640x512 (raw 16-bit counts, about 660 kB, a motor-like scene with hot spots; no two are the
same) one after the other over one connection; every file is examined for hot spots, kept on the disk and answered for.
Two more processes ask for /healthz and for the first page, ten times a second each. Numbers are only worth something on
a machine that does nothing else; targets: >= 30 uploads/s, p99 <= 300 ms, health and page p99 <= 60 ms, excess answered
429 and never 5xx; with a training p99 at most twice as long. Where the script has started the server itself, the
processor time that a file costs is said too: in the server, and in the children that decode.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from thermal_files import FlirFile

BOUNDARY = "isotherm-load"
START_S = 5.0
"""How long the processes that send may take to start [s]."""
Span = tuple[float, float]
"""When they begin and when they end, by the clock [s]."""
TARGETS = {"uploads_per_s": 30.0, "upload_p99_ms": 300.0, "health_p99_ms": 60.0, "page_p99_ms": 60.0}


def scene(seed: int, hot: bool = True) -> bytes:
    """Return an R-JPEG of 640x512: a smooth background, noise of a detector, and a few hot spots."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:512, 0:640]
    counts = 17_500 + 400 * np.sin(x / 90 + seed) + 300 * np.cos(y / 70) + random.normal(0, 12, x.shape)
    for _ in range(5 if hot else 0):
        at_x, at_y, size = random.uniform(40, 600), random.uniform(40, 470), random.uniform(6, 25)
        counts += random.uniform(1500, 5000) * np.exp(-((x - at_x) ** 2 + (y - at_y) ** 2) / (2 * size**2))
    return FlirFile(counts=counts.clip(0, 65535).astype(np.uint16)).jpeg()


def form(name: str, data: bytes, **fields: str) -> bytes:
    """Return a form with one file."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{text}\r\n'
        for key, text in fields.items()
    ]
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    return "".join([*parts, head]).encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()


class Client:
    """One connection to the server."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 80
        self.connection = http.client.HTTPConnection(self.host, self.port, timeout=120)

    def send(
        self, method: str, path: str, body: bytes = b"", kind: str = "application/json"
    ) -> tuple[int, bytes, float]:
        """Return status, body and seconds of one request."""
        started = time.perf_counter()
        for attempt in (0, 1):
            try:
                self.connection.request(method, path, body or None, {"Content-Type": kind} if body else {})
                answer = self.connection.getresponse()
                return answer.status, answer.read(), time.perf_counter() - started
            except (http.client.HTTPException, ConnectionError):
                # The server closes a connection that it has refused an upload on.
                self.connection.close()
                if attempt:
                    raise
        raise AssertionError

    def json(self, method: str, path: str, body: object = None) -> dict:
        """Return the JSON of an answer that must be good."""
        status, data, _ = self.send(method, path, json.dumps(body).encode() if body is not None else b"")
        if status >= 300:
            raise SystemExit(f"{method} {path}: {status} {data[:500]!r}")
        return json.loads(data)

    def upload(self, site: str, name: str, data: bytes, **fields: str) -> tuple[int, bytes, float]:
        """Send one image."""
        body = form(name, data, **fields)
        return self.send("POST", f"/api/v1/sites/{site}/images", body, f"multipart/form-data; boundary={BOUNDARY}")


@contextmanager
def own_server(workers: int):
    """Start a server in a folder of its own, give its address and process, and end it."""
    with tempfile.TemporaryDirectory(prefix="isotherm-load-") as folder:
        command = [
            sys.executable,
            "-m",
            "isotherm",
            "serve",
            "--port",
            "0",
            "--data",
            folder,
            "--workers",
            str(workers),
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            line = process.stdout.readline()
            yield re.search(r"http://\S+:\d+", line)[0], process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
            process.stdout.close()


def client_loop(url: str, site: str, pictures: list[bytes], span: Span, number: int, seen: list) -> None:
    """Upload until the time is up, and note status and seconds of each."""
    client, sent = Client(url), 0
    time.sleep(max(0.0, span[0] - time.time()))
    while time.time() < span[1]:
        # Bytes after the end of a JPEG are nobody's; they make each file another one.
        data = pictures[(number + sent) % len(pictures)] + f"{number}-{sent}-{time.time_ns()}".encode()
        status, body, seconds = client.upload(site, f"motor-{number}-{sent}.jpg", data)
        if status == 200 and json.loads(body)["taken"] != 1:
            status = -1
        seen.append((status, seconds))
        sent += 1
        if status == 429:
            time.sleep(0.2)


def clients_process(url: str, site: str, pictures: list[bytes], span: Span, clients: int, queue) -> None:
    """Run all clients, each in a thread of its own, in this one process."""
    seen: list[tuple[int, float]] = []
    threads = [threading.Thread(target=client_loop, args=(url, site, pictures, span, n, seen)) for n in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    queue.put(seen)


def probe_process(url: str, path: str, span: Span, queue) -> None:
    """Ask for one path ten times a second, as people and monitors together might."""
    client, seen = Client(url), []
    time.sleep(max(0.0, span[0] - time.time()))
    while time.time() < span[1]:
        status, _, seconds = client.send("GET", path)
        seen.append((status, seconds))
        time.sleep(0.1)
    queue.put(seen)


def cpu_s(pid: int) -> float:
    """Return the processor time of a process [s], without that of its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def decoders(pid: int) -> list[int]:
    """Return the process numbers of the children of a server that decode files."""
    every = Path(f"/proc/{pid}/task").glob("*/children")
    found = [int(child) for path in every for child in path.read_text().split()]
    return [child for child in found if b"limited_child" in Path(f"/proc/{child}/cmdline").read_bytes()]


def cpu_now(pid: int) -> dict[str, float]:
    """Return the processor time that a server and its decoders have used [s]."""
    if not pid:
        return {}
    return {"server": cpu_s(pid), "decoders": sum(map(cpu_s, decoders(pid)))}


def measure(url: str, site: str, pictures: list[bytes], seconds: float, clients: int, pid: int = 0) -> dict:
    """Return what a load of some seconds shows."""
    context = multiprocessing.get_context("spawn")
    queues = {name: context.Queue() for name in ("upload", "health", "page")}
    # All begin together, when all have been started: to start them takes the same two cores.
    span = (time.time() + START_S, time.time() + START_S + seconds)
    processes = [
        context.Process(target=clients_process, args=(url, site, pictures, span, clients, queues["upload"])),
        context.Process(target=probe_process, args=(url, "/healthz", span, queues["health"])),
        context.Process(target=probe_process, args=(url, "/", span, queues["page"])),
    ]
    for process in processes:
        process.start()
    time.sleep(max(0.0, span[0] - time.time()))
    before, started = cpu_now(pid), time.time()
    seen = {name: queue.get() for name, queue in queues.items()}
    spent = time.time() - started
    for process in processes:
        process.join()
    found = summary(seen, spent)
    for name, used in cpu_now(pid).items():
        found[f"{name}_cpu_ms_a_file"] = round(1000 * (used - before[name]) / max(1, found["uploads"]), 2)
    return found


def summary(seen: dict, seconds: float) -> dict:
    """Return rates and percentiles."""
    uploads = seen["upload"]
    good = [spent for status, spent in uploads if status == 200]
    found = {
        "uploads": len(good),
        "uploads_per_s": round(len(good) / seconds, 1),
        "answers": dict(Counter(status for status, _ in uploads)),
        **percentiles("upload", good),
    }
    for name in ("health", "page"):
        found |= percentiles(name, [spent for status, spent in seen[name] if status == 200])
        found[f"{name}_answers"] = dict(Counter(status for status, _ in seen[name]))
    return found


def percentiles(name: str, seconds: list[float]) -> dict:
    """Return p50 and p99 [ms]."""
    if not seconds:
        return {}
    p50, p99 = np.percentile(1000 * np.array(seconds), [50, 99])
    return {f"{name}_p50_ms": round(float(p50), 1), f"{name}_p99_ms": round(float(p99), 1)}


def teach(client: Client, site: str, pictures: int) -> None:
    """Give a site two categories of training images."""
    for number in range(pictures):
        for category in ("hot", "cold"):
            data = scene(1000 + number, hot=category == "hot")
            status, body, _ = client.upload(site, f"{category}{number}.jpg", data, category=category, split="train")
            if status != 200:
                raise SystemExit(f"upload: {status} {body[:300]!r}")


def train(client: Client, site: str) -> dict:
    """Train a model and wait for its end."""
    job = client.json("POST", f"/api/v1/sites/{site}/train", {})
    while job["state"] in ("queued", "running"):
        job = client.json("GET", f"/api/v1/jobs/{job['id']}?wait=30")
    if job["state"] != "succeeded":
        raise SystemExit(f"training: {job}")
    return job


def keep_training(url: str, site: str, stop: threading.Event) -> None:
    """Train one model after the other."""
    client = Client(url)
    while not stop.is_set():
        train(client, site)


def predictions(client: Client, name: str, rounds: int) -> dict:
    """Return the waiting times of /api/predict for one image and for a list of 32."""
    image = base64.b64encode(scene(7)).decode()
    one = json.dumps({"temple_id": name, "image": image, "image_name": "a", "image_type": "jpg"}).encode()
    listed = {"temple_id": name, "image": [image] * 32, "image_name": ["a"] * 32, "image_type": ["jpg"] * 32}
    many = json.dumps(listed).encode()
    found = {}
    for what, body, times in (("predict", one, rounds), ("predict_32", many, max(3, rounds // 10))):
        seen = [client.send("POST", "/api/predict", body) for _ in range(times + 1)]
        bad = [(status, data[:300]) for status, data, _ in seen if status != 200]
        if bad:
            raise SystemExit(f"/api/predict: {bad[0]}")
        found |= percentiles(what, [seconds for _, _, seconds in seen[1:]])
    found["predict_32_over_1"] = round(found["predict_32_p50_ms"] / found["predict_p50_ms"], 1)
    return found


def main() -> None:
    """Measure and print one line of JSON for each part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--training", action="store_true", help="once more while models are trained; then predictions")
    parser.add_argument("--train-images", type=int, default=100, help="training images of each of two categories")
    parser.add_argument("--url", default="", help="a server that runs already, without login")
    arguments = parser.parse_args()
    if arguments.url:
        run(arguments, arguments.url)
        return
    with own_server(workers=1 if arguments.training else 0) as (url, process):
        run(arguments, url, process.pid)


def run(arguments: argparse.Namespace, url: str, pid: int = 0) -> None:
    """Measure one server, whose process is known where the script has started it."""
    client = Client(url)
    site = client.json("POST", "/api/v1/sites", {"name": f"load-{os.getpid()}"})
    pictures = [scene(seed) for seed in range(16)]
    for picture in pictures:
        client.upload(site["id"], "warm-up.jpg", picture)
    idle = measure(url, site["id"], pictures, arguments.seconds, arguments.clients, pid)
    report("idle", idle)
    if not arguments.training:
        return
    teach(client, site["id"], arguments.train_images)
    train(client, site["id"])
    report("predict", predictions(client, site["name"], 50))
    stop = threading.Event()
    trainer = threading.Thread(target=keep_training, args=(url, site["id"], stop))
    trainer.start()
    busy = measure(url, site["id"], pictures, arguments.seconds, arguments.clients, pid)
    stop.set()
    report("training", busy)
    print(json.dumps({"p99_ratio": round(busy["upload_p99_ms"] / idle["upload_p99_ms"], 2)}), flush=True)
    trainer.join()


def report(name: str, found: dict) -> None:
    """Print what was found, with the targets that it misses."""
    missed = [
        key for key, target in TARGETS.items() if key in found and (found[key] < target) == (key == "uploads_per_s")
    ]
    print(json.dumps({"part": name, **found, "missed": missed}), flush=True)


if __name__ == "__main__":
    main()
