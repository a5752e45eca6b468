"""A backup of a small server, made over HTTP by the isotherm that is installed: what later ones must be able to read.

    python tests/reliability/golden_backup.py        # writes tests/reliability/backups/<schema>.tar.xz

To be run once a schema is released, and never again for that schema. All pictures in it are made up here.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import httpx2
import numpy as np

API = "/api/v1"
BACKUPS = Path(__file__).with_name("backups")
IMAGES = 12


def picture(number: int) -> bytes:
    """Return a small picture of temperatures [degrees C], every other one with a hot spot."""
    values = np.full((24, 32), 20, np.float32) + np.arange(32, dtype=np.float32) / 10 + number
    if number % 2:
        values[8:14, 10:16] += 40
    with io.BytesIO() as stream:
        np.save(stream, values)
        return stream.getvalue()


def fill(http: httpx2.Client) -> None:
    """Make a site with all that people make: categories, an asset, images, corrections, jobs, a model."""

    def post(path: str, **parts: Any) -> Any:
        answer = http.post(API + path, **parts)
        if answer.status_code >= 300:
            raise SystemExit(f"{path}: {answer.status_code} {answer.text[:500]}")
        return answer.json()

    site = post("/sites", json={"name": "Werk S\u00fcd \U0001f525"})["id"]
    for name in ("cold", "hot"):
        post(f"/sites/{site}/categories", json={"name": name})
    asset = post(f"/sites/{site}/assets", json={"name": "Motor 7", "kind": "motor"})["id"]
    for number in range(IMAGES):
        form = {"category": "hot" if number % 2 else "cold", "split": "train", "asset_id": asset if number < 3 else ""}
        files = {"files": (f"picture {number}.npy", picture(number))}
        data = {key: value for key, value in form.items() if value}
        result = post(f"/sites/{site}/images", files=files, data=data)["results"][0]
        if number == 5:
            post(f"/inspections/{result['inspection']['id']}/feedback", json={"category": "cold", "note": "a \u00b0 b"})
    job = post(f"/sites/{site}/train", json={})
    while job["state"] in ("queued", "running"):
        job = http.get(f"{API}/jobs/{job['id']}", params={"wait": 20}).json()
    if job["state"] != "succeeded":
        raise SystemExit(f"training: {json.dumps(job)[:1000]}")
    files = {"files": ("last.npy", picture(99))}
    post(f"/sites/{site}/images", files=files)


def main() -> None:
    """Start a server, fill it, back it up while it runs, and pack the backup."""
    with tempfile.TemporaryDirectory() as temporary:
        data, backup = Path(temporary) / "data", Path(temporary) / "backup"
        isotherm = [sys.executable, "-m", "isotherm"]
        server = subprocess.Popen(
            [*isotherm, "serve", "--port", "0", "--data", str(data)], stdout=subprocess.PIPE, text=True
        )
        try:
            assert server.stdout is not None
            url = "http://" + server.stdout.readline().partition("http://")[2].split()[0].rstrip("/")
            with httpx2.Client(base_url=url, timeout=120) as http:
                fill(http)
            subprocess.run(
                [*isotherm, "token", "issue", "reader", "--data", str(data), "--scopes", "read"],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            subprocess.run([*isotherm, "backup", "-o", str(backup), "--data", str(data)], check=True)
        finally:
            server.terminate()
            server.wait(60)
        schema = json.loads((backup / "manifest.json").read_bytes())["schema"]
        BACKUPS.mkdir(exist_ok=True)
        with tarfile.open(BACKUPS / f"{schema}.tar.xz", "w:xz") as archive:
            archive.add(backup, arcname=".")


if __name__ == "__main__":
    main()
