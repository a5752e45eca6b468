"""Kills `isotherm serve`, its workers and their job processes under load; afterwards nothing acknowledged is missing.

python benchmarks/chaos.py [--kills 60] [--data DIR] [--database postgresql://...] [--seed 0] [--drain 300] [--rest 0]

Clients upload pictures, sort them, correct verdicts, start inspections and trainings, and write down what the server
acknowledged. Meanwhile this program kills (SIGKILL) and starts the server anew. In the end the jobs are waited for and
the store is compared with what was written down: nothing lost, nothing done twice, `isotherm verify` finds no flaw.
`chaos_queue.py` does the same to the queue alone, with many more jobs.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
from chaos_processes import descendants, is_alive, kill, survivors, victim
from sqlalchemy import func, select

from isotherm.jobs import queue
from isotherm.store.database import Database
from isotherm.store.tables import Category, Feedback, Image, Inspection, Job, JobItem, ModelVersion

API = "/api/v1"
SITES, CLIENTS, WORKERS = 2, 3, 2
CATEGORIES = ("cold", "hot")
START_S, DRAIN_S, ANSWER_S = 60.0, 300.0, 30.0
LEASE_S = queue.LEASE_S
NO_ANSWER = (httpx2.TransportError, httpx2.RemoteProtocolError)


def picture(rng: random.Random, *, hot: bool) -> bytes:
    """Return a temperature array [degrees C] as a NumPy file; no two are alike."""
    noise = np.random.default_rng(rng.getrandbits(64))
    values = noise.normal(20, 0.5, (48, 64)).astype(np.float32)
    if hot:
        values[10:30, 20:40] += 25
    with io.BytesIO() as stream:
        np.save(stream, values)
        return stream.getvalue()


# --- The server -----------------------------------------------------------------------------------------------------


class Server:
    """`isotherm serve`, started again after each kill at an address of its own."""

    def __init__(self, folder: Path, database: str) -> None:
        self._command = [sys.executable, "-m", "isotherm", "serve", "--port", "0", "--workers", str(WORKERS)]
        self._command += ["--data", str(folder), *(["--database", database] if database else [])]
        self._log = (folder.parent / "server.log").open("ab")
        self.ready_s: list[float] = []
        self.url = ""
        self.start()

    def start(self) -> None:
        began = time.monotonic()
        self.url = ""
        self.process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=self._log, text=True)
        line = self.process.stdout.readline()
        if "http://" not in line:
            raise RuntimeError(f"the server did not start; see {self._log.name}")
        self.url = "http://" + line.partition("http://")[2].split()[0].rstrip("/")
        self.ready_s.append(time.monotonic() - began)

    def restart(self) -> None:
        self.process.wait()
        self.process.stdout.close()
        self.start()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)
        self.process.stdout.close()
        self._log.close()


# --- The clients ----------------------------------------------------------------------------------------------------


@dataclass
class Journal:
    """What the server acknowledged, and what it may have done without an answer."""

    images: dict[str, str] = field(default_factory=dict)
    """Image -> sha256."""
    digests: set[str] = field(default_factory=set)
    """All contents that were sent at least once."""
    labels: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Image -> categories that it may be in: the last acknowledged one, and those asked for since without an answer."""
    inspections: dict[str, str] = field(default_factory=dict)
    """Inspection of an upload -> image."""
    feedback: dict[str, str] = field(default_factory=dict)
    """Feedback -> inspection."""
    jobs: dict[str, str] = field(default_factory=dict)
    """Job -> kind."""
    answers: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


class Client(threading.Thread):
    """One client: does random things again and again, and writes down what is acknowledged."""

    def __init__(self, server: Server, sites: list[str], journal: Journal, seed: int, rest_s: float) -> None:
        super().__init__(daemon=True)
        self._server, self._sites, self._journal, self._rest_s = server, sites, journal, rest_s
        self._rng = random.Random(seed)
        self._http = httpx2.Client(timeout=ANSWER_S)
        self._mine: list[tuple[str, str, str]] = []
        self.stop = threading.Event()
        self.deeds = 0

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                self._one_deed()
                self.deeds += 1
                self.stop.wait(self._rest_s)
        except Exception as error:  # noqa: BLE001 (a fault of this program or the server: either way it must be seen)
            self._journal.faults.append(f"a client failed: {error!r}")
        finally:
            self._http.close()

    def _one_deed(self) -> None:
        site = self._rng.choice(self._sites)
        deeds: list[tuple[int, Callable[[str], None]]] = [
            (55, self._upload),
            (15, self._sort),
            (10, self._correct),
            (10, self._inspect),
            (10, self._train),
        ]
        self._rng.choices([deed for _, deed in deeds], [weight for weight, _ in deeds])[0](site)

    def _ask(self, method: str, path: str, **parts: Any) -> httpx2.Response | None:
        """Return the answer; None where there was none, so that nobody knows what was done."""
        while not (url := self._server.url) and not self.stop.is_set():
            time.sleep(0.02)
        try:
            answer = self._http.request(method, url + API + path, **parts)
        except NO_ANSWER:
            return None
        self._journal.answers[answer.status_code] += 1
        if answer.status_code >= 500:
            self._journal.faults.append(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer

    def _surely(self, method: str, path: str, **parts: Any) -> httpx2.Response | None:
        """Ask until there is an answer; only for what changes nothing."""
        while not self.stop.is_set():
            answer = self._ask(method, path, **parts)
            if answer is not None and answer.status_code != 429:
                return answer
            time.sleep(0.1)
        return None

    def _upload(self, site: str) -> None:
        category = self._rng.choice(CATEGORIES)
        data = picture(self._rng, hot=category == "hot")
        digest = hashlib.sha256(data).hexdigest()
        self._journal.digests.add(digest)
        form = {"files": {"files": ("picture.npy", data)}, "data": {"category": category, "split": "train"}}
        while not self.stop.is_set():
            answer = self._ask("POST", f"/sites/{site}/images", **form)
            if answer is not None and answer.status_code == 200:
                self._taken(answer.json()["results"][0], digest, category)
                return
            if answer is not None:
                time.sleep(0.1)
                continue
            # No answer: it may be there all the same. Whoever sends it blindly again has it twice.
            found = self._surely("GET", "/images", params={"site_id": site, "digest": digest})
            if found is not None and found.json()["items"]:
                self._journal.images[found.json()["items"][0]["id"]] = digest
                return

    def _taken(self, result: dict[str, Any], digest: str, category: str) -> None:
        if result["image"] is None:
            self._journal.faults.append(f"a picture was refused: {result['error']}")
            return
        image, inspection = result["image"]["id"], result["inspection"]["id"]
        self._journal.images[image] = digest
        self._journal.labels[image] = {category}
        self._journal.inspections[inspection] = image
        self._mine.append((image, inspection, result["image"]["site_id"]))

    def _sort(self, site: str) -> None:  # noqa: ARG002 (every deed's form)
        if not self._mine:
            return
        image, *_ = self._rng.choice(self._mine)
        known = self._surely("GET", f"/images/{image}")
        if known is None:
            return
        category = self._rng.choice(CATEGORIES)
        self._journal.labels[image].add(category)
        headers = {"If-Match": known.headers["etag"]}
        answer = self._ask("PATCH", f"/images/{image}", json={"category": category}, headers=headers)
        if answer is not None and answer.status_code == 200:
            self._journal.labels[image] = {category}

    def _correct(self, site: str) -> None:  # noqa: ARG002
        if self._mine:
            _, inspection, _ = self._rng.choice(self._mine)
            wanted = {"category": self._rng.choice(CATEGORIES)}
            answer = self._ask("POST", f"/inspections/{inspection}/feedback", json=wanted)
            if answer is not None and answer.status_code in (200, 201):
                self._journal.feedback[answer.json()["id"]] = inspection

    def _inspect(self, site: str) -> None:
        own = [image for image, _, where in self._mine if where == site]
        chosen = self._rng.sample(own, min(len(own), self._rng.randint(1, 15)))
        if chosen:
            self._start(f"/sites/{site}/inspect", {"image_ids": chosen}, "inspect")

    def _train(self, site: str) -> None:
        self._start(f"/sites/{site}/train", {}, "train")

    def _start(self, path: str, wanted: dict[str, Any], kind: str) -> None:
        answer = self._ask("POST", path, json=wanted)
        if answer is not None and answer.status_code == 202:
            self._journal.jobs[answer.json()["id"]] = kind


# --- The driver -----------------------------------------------------------------------------------------------------


class Driver:
    """Starts server and clients, kills, and compares."""

    def __init__(self, folder: Path, database: str, seed: int, rest_s: float) -> None:
        self.rng = random.Random(seed)
        self.server = Server(folder, database)
        self.journal = Journal()
        self.killed: Counter[str] = Counter()
        self.url = database or f"sqlite:///{folder / 'isotherm.db'}"
        self.sites = [self._site(number) for number in range(SITES)]
        self.clients = [Client(self.server, self.sites, self.journal, seed * 100 + n, rest_s) for n in range(CLIENTS)]

    def _site(self, number: int) -> str:
        with httpx2.Client(base_url=self.server.url + API, timeout=ANSWER_S) as http:
            site = http.post("/sites", json={"name": f"plant {number}"}).raise_for_status().json()["id"]
            for name in CATEGORIES:
                http.post(f"/sites/{site}/categories", json={"name": name}).raise_for_status()
            return site

    def run(self, kills: int, drain_s: float) -> None:
        for client in self.clients:
            client.start()
        for number in range(kills):
            self._wait_for_deeds()
            time.sleep(self.rng.uniform(0, 0.8))
            self._kill_one()
            if number % 20 == 19:
                print(f"{number + 1} kills, {len(self.journal.images)} images", file=sys.stderr, flush=True)
        for client in self.clients:
            client.stop.set()
        for client in self.clients:
            client.join(ANSWER_S)
        # While workers are killed every few seconds, jobs pile up: the more kills, the more is left.
        self._drain(max(drain_s, 2.0 * kills))

    def _kill_one(self) -> None:
        name, process = victim(self.server.process.pid, self.rng)
        below = descendants(process)
        if name == "server":
            self.server.url = ""
        if kill(process):
            self.killed[name] += 1
        self.journal.faults += [f"survived the kill of its {name}: {one}" for one in survivors(below)]
        if name == "server":
            self.server.restart()

    def _wait_for_deeds(self) -> None:
        """Let each kill hit a server that has work."""
        before = sum(client.deeds for client in self.clients)
        until = time.monotonic() + 10
        while sum(client.deeds for client in self.clients) < before + 2 and time.monotonic() < until:
            if not is_alive(self.server.process.pid):
                self.journal.faults.append("the server ended by itself")
                self.server.url = ""
                self.server.restart()
            time.sleep(0.02)

    def _drain(self, within_s: float) -> None:
        """Wait for the jobs; one that was killed too often is dead, says so, and is tried again by hand."""
        deadline = time.monotonic() + within_s
        left = list(self.journal.jobs)
        with httpx2.Client(base_url=self.server.url + API, timeout=ANSWER_S) as http:
            # What has ended is not asked for again: `verify` looks at the end of all.
            while left := [job for job in left if not self._has_ended(http, job)]:
                if time.monotonic() > deadline:
                    self.journal.faults.append(f"not done {within_s:.0f} s after the last kill: jobs {left}")
                    break
                time.sleep(0.5)
        below = descendants(self.server.process.pid)
        self.server.stop()
        self.journal.faults += [f"survived the end of the server: {one}" for one in survivors(below)]

    def _has_ended(self, http: httpx2.Client, job: str) -> bool:
        found = http.get(f"/jobs/{job}").raise_for_status().json()
        if found["state"] == "dead":
            if not found["error"]:
                self.journal.faults.append(f"job {job} is dead without a reason")
            with suppress(httpx2.HTTPStatusError):
                http.post(f"/jobs/{job}/retry").raise_for_status()
            return False
        return found["state"] not in queue.ACTIVE

    def verify(self, folder: Path) -> None:
        """Compare the store with the journal."""
        database = Database.open(self.url)
        with database.read() as session:
            images = {row.id: row for row in session.scalars(select(Image))}
            names = {row.id: row.name for row in session.scalars(select(Category))}
            found = Counter(image.digest for image in images.values())
            self._say("lost: image", self.journal.images.keys() - images.keys())
            self._say("doubled: content", [digest for digest, count in found.items() if count > 1])
            self._say("from nowhere: content", found.keys() - self.journal.digests)
            for image, allowed in self.journal.labels.items():
                label = names.get(images[image].category_id or "", "") if image in images else ""
                if image in images and label not in allowed:
                    self._say("lost: label of image", [image])
            inspections = dict(session.execute(select(Inspection.id, Inspection.image_id)).all())
            self._say("lost: inspection", self.journal.inspections.keys() - inspections.keys())
            self._say("without inspection: image", images.keys() - set(inspections.values()))
            said = set(session.scalars(select(Feedback.inspection_id)))
            self._say("lost: feedback on inspection", set(self.journal.feedback.values()) - said)
            self._verify_jobs(session)
        database.close()
        command = [sys.executable, "-m", "isotherm", "verify", "--data", str(folder), "--database", self.url]
        checked = subprocess.run(command, capture_output=True, text=True, check=False)
        if checked.returncode != 0:
            self.journal.faults.append(f"isotherm verify: {checked.stdout[-2000:]}")

    def _verify_jobs(self, session: Any) -> None:
        jobs = {job.id: job for job in session.scalars(select(Job))}
        self._say("lost: job", self.journal.jobs.keys() - jobs.keys())
        for job in jobs.values():
            if job.state == "failed" and job.kind == "train" and "categor" in job.error:
                continue
            if job.id in self.journal.jobs and job.state != "succeeded":
                self.journal.faults.append(f"{job.kind} job {job.id} is {job.state}: {job.error}")
        done = select(Inspection.job_id, Inspection.image_id, func.count()).where(Inspection.job_id.is_not(None))
        for job_id, image, count in session.execute(done.group_by(Inspection.job_id, Inspection.image_id)):
            if count > 1:
                self._say("doubled: job, image", [f"{job_id} {image} {count} times"])
        for job in jobs.values():
            items = session.scalar(select(func.count()).select_from(JobItem).where(JobItem.job_id == job.id))
            if job.kind == "inspect" and job.state == "succeeded" and items != len(job.payload["images"]):
                self._say("lost: items of job", [f"{job.id}: {items} of {len(job.payload['images'])}"])
        made = Counter(session.scalars(select(ModelVersion.job_id)))
        trained = {job.id for job in jobs.values() if job.kind == "train" and job.state == "succeeded"}
        self._say("doubled: model of job", [job for job, count in made.items() if count > 1])
        self._say("lost: model of job", trained - made.keys())

    def _say(self, what: str, which: Any) -> None:
        self.journal.faults += [f"{what} {one}" for one in sorted(which)]

    def summary(self) -> str:
        """Return one paragraph about what was done."""
        journal, ready = self.journal, sorted(self.server.ready_s)
        kept = f"{len(journal.images)} images, {len(journal.labels)} labels, {len(journal.feedback)} corrections"
        return (
            f"{sum(self.killed.values())} kills ({dict(self.killed)}); acknowledged: {kept}, "
            f"jobs {dict(Counter(journal.jobs.values()))}; answers {dict(sorted(journal.answers.items()))}; "
            f"address announced after {ready[len(ready) // 2]:.1f} s (median), {ready[-1]:.1f} s (longest); "
            f"{len(journal.faults)} faults"
        )


def main() -> int:
    """Run the driver; returns 1 where anything was lost, doubled or left behind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--data", type=Path, default=None, help="an empty folder to keep (default: a temporary one)")
    parser.add_argument("--database", default="", metavar="URL")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--drain", type=float, default=DRAIN_S, help="least time for the jobs that are left at the end [s]"
    )
    parser.add_argument("--rest", type=float, default=0.0, help="how long a client rests after each deed [s]")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.data or Path(temporary)) / "data"
        folder.mkdir(parents=True)
        began = time.monotonic()
        driver = Driver(folder, arguments.database, arguments.seed, arguments.rest)
        try:
            driver.run(arguments.kills, arguments.drain)
            driver.verify(folder)
        finally:
            driver.server.process.kill()
        print(f"{time.monotonic() - began:.0f} s: {driver.summary()}")
    print("\n".join(driver.journal.faults[:50]))
    return 1 if driver.journal.faults else 0


if __name__ == "__main__":
    sys.exit(main())
