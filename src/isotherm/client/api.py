"""Sites, pictures, verdicts, trainings, feedback, assets and reports of a server, by its API (``/api/v1``)."""

from __future__ import annotations

import hashlib
import io
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import Any, Unpack

from isotherm.client.transport import USUAL_URL, Parts, RefusedError, Transport, json_of
from isotherm.core.errors import DataError, IsothermError, OutputError, one_line
from isotherm.core.progress import Progress, silent

API = "/api/v1"
PIECE = 1 << 20
ASKED_AT_ONCE = 500
"""How many sha256 sums are in one question which contents are missing."""
LONG_POLL_S = 2
"""How long a question about a job may wait for its end; so often its progress is shown [s]."""
MODEL_TRIAL_S = 300.0
"""How long a server may take to try a model that it is given [s]."""
UNFINISHED = ("queued", "running")
MODEL_FILES = ("manifest.json", "arrays.safetensors")
"""What the folder of an anomaly model holds."""


class JobFailedError(IsothermError):
    """A job has ended otherwise than well; ``job`` is its last state."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        super().__init__(f"job {job.get('id')} is {job.get('state')}: {job.get('error') or 'no reason is known'}")
        self.job = job


@dataclass(frozen=True)
class Uploaded:
    """What became of one file: the ids of the image and of its inspection, or why it was not taken."""

    path: Path
    image_id: str = ""
    inspection_id: str = ""
    error: str = ""


@dataclass(frozen=True)
class UploadReport:
    """What became of a folder: how many files, how many of their contents had to be sent, and each result."""

    results: tuple[Uploaded, ...]
    sent: int

    @property
    def failed(self) -> tuple[Uploaded, ...]:
        """The files that were not taken."""
        return tuple(each for each in self.results if each.error)


@dataclass(frozen=True)
class _Hashed:
    path: Path
    name: str
    digest: str


class Client:
    """One server, as one token sees it; close it, or use it as a context manager.

    Parameters
    ----------
    url, token, timeout_s
        See `isotherm.client.transport.Transport`.
    transport
        A connection that is there already, in place of these.
    """

    def __init__(
        self,
        url: str = USUAL_URL,
        *,
        token: str | None = None,
        timeout_s: float = 60.0,
        transport: Transport | None = None,
    ) -> None:
        self.transport = transport or Transport(url, token=token, timeout_s=timeout_s)

    def close(self) -> None:
        """Close the connections."""
        self.transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def sites(self) -> Iterator[dict[str, Any]]:
        """Yield all sites, newest first."""
        yield from self.rows("/sites")

    def rows(self, path: str, filters: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """Yield all rows of a list, a page at a time: ``rows("/images", {"site_id": ...})``."""
        cursor = None
        while True:
            params = {**(filters or {}), "limit": 200, **({} if cursor is None else {"cursor": cursor})}
            page = self._json("GET", path, params=params)
            yield from page["items"]
            cursor = page.get("next")
            if not cursor:
                return

    def create_site(self, name: str, *, note: str = "") -> dict[str, Any]:
        """Make a site; raises RefusedError (409) where the name is taken."""
        return dict(self._json("POST", "/sites", json={"name": name, "note": note}))

    def site_named(self, name: str) -> dict[str, Any] | None:
        """Return the site of a name, None where there is none."""
        return next((site for site in self.sites() if site["name"] == name), None)

    def upload_folder(
        self,
        site_id: str,
        folder: Path,
        *,
        category: str | None = None,
        split: str = "",
        at_once: int = 4,
        progress: Progress = silent,
    ) -> UploadReport:
        """Send all files of a folder; see `upload`.

        Raises
        ------
        DataError
            The folder cannot be read or holds no file.
        """
        try:
            paths = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
        except OSError as error:
            raise DataError(f"{folder}: cannot be read: {error.strerror}") from error
        if not paths:
            raise DataError(f"{folder}: holds no files")
        return self.upload(site_id, paths, category=category, split=split, at_once=at_once, progress=progress)

    def upload(
        self,
        site_id: str,
        paths: Sequence[Path],
        *,
        category: str | None = None,
        split: str = "",
        at_once: int = 4,
        progress: Progress = silent,
    ) -> UploadReport:
        """Send files, many at once; contents that the server has are not sent again.

        After an interruption the same call goes on: what was taken is taken once. A file that is refused is a result
        with its reason.

        Parameters
        ----------
        category, split
            What they show, and the part of the data set (``train`` or ``test``).
        at_once
            How many requests are under way at a time.

        Raises
        ------
        UnreachableError, RefusedError
            The server does not answer; the token is not good for this site.
        """
        labels = {"category": category, "split": split}
        with ThreadPoolExecutor(max_workers=at_once) as pool:
            hashed = list(pool.map(_hashed, paths))
            missing = self._missing(hashed)
            results = []
            for result in pool.map(lambda each: self._send(site_id, each, labels, each.digest in missing), hashed):
                results.append(result)
                progress(len(results), len(hashed), "sending files")
        return UploadReport(tuple(results), len(missing))

    def _missing(self, hashed: Sequence[_Hashed]) -> frozenset[str]:
        found: set[str] = set()
        digests = list(dict.fromkeys(each.digest for each in hashed))
        for start in range(0, len(digests), ASKED_AT_ONCE):
            part = digests[start : start + ASKED_AT_ONCE]
            found |= set(self._json("POST", "/blobs/missing", json={"digests": part}, repeat=True)["missing"])
        return frozenset(found)

    def _send(self, site_id: str, each: _Hashed, labels: Mapping[str, str | None], missing: bool) -> Uploaded:
        try:
            if missing:
                content = each.path.read_bytes()
                self.transport.send("PUT", f"{API}/blobs/sha256/{each.digest}", content=content)
            (result,) = self._named(site_id, each, labels)
        except RefusedError as error:
            if error.status in (401, 403):
                raise
            return Uploaded(each.path, error=error.detail)
        except OSError as error:
            return Uploaded(each.path, error=f"cannot be read: {error.strerror}")
        image, inspection = result.get("image") or {}, result.get("inspection") or {}
        return Uploaded(each.path, image.get("id", ""), inspection.get("id", ""), result.get("error") or "")

    def _named(self, site_id: str, each: _Hashed, labels: Mapping[str, str | None]) -> list[dict[str, Any]]:
        """Have the server take content that it holds as an image; the key keeps a repetition from doubling it."""
        key = hashlib.sha256("\0".join((site_id, each.name, each.digest, *map(str, labels.values()))).encode())
        body = {"files": [{"name": each.name, "digest": each.digest}], **labels}
        headers = {"Idempotency-Key": key.hexdigest()}
        found = self._json("POST", f"/sites/{site_id}/images", json=body, headers=headers, repeat=True)
        return list(found["results"])

    def predict(
        self, site_id: str, paths: Sequence[Path], *, min_confidence: float | None = None
    ) -> list[dict[str, Any]]:
        """Ask the model of a site about files, which are not kept."""
        try:
            files = [("files", (path.name, path.read_bytes())) for path in paths]
        except OSError as error:
            raise DataError(one_line(error)) from error
        params = {} if min_confidence is None else {"min_confidence": min_confidence}
        found = self._json("POST", f"/sites/{site_id}/predict", files=files, params=params, repeat=True)
        return list(found["results"])

    def train(
        self, site_id: str, settings: Mapping[str, Any] | None = None, *, config: Mapping[str, Any] | None = None
    ) -> str:
        """Have a site's model trained; returns the id of the job.

        Parameters
        ----------
        settings, config
            What is not as the site says: of the training, and of the method itself.
        """
        body = {"settings": dict(settings or {}), "config": dict(config or {})}
        return str(self._json("POST", f"/sites/{site_id}/train", json=body)["id"])

    def import_anomaly_model(
        self,
        site_id: str,
        folder: Path,
        *,
        normal: str = "normal",
        activate: bool = False,
        note: str = "",
        metrics: Path | None = None,
    ) -> dict[str, Any]:
        """Give a site an anomaly model that `isotherm train` has written on another machine; returns the version.

        Parameters
        ----------
        folder
            The model's folder.
        normal
            The category of the site whose images are normal to it.
        activate
            Let it score new images at once.
        metrics
            The ``metrics.json`` that `isotherm evaluate --model` has written of this model; kept as what is said of it.

        Raises
        ------
        DataError
            The folder is no model's, or it or `metrics` cannot be read.
        RefusedError
            The server cannot use it (422); says why.
        """
        try:
            files = [("files", (name, (folder / name).read_bytes())) for name in MODEL_FILES]
        except OSError as error:
            raise DataError(
                f"{folder} is no folder of an anomaly model, which holds {' and '.join(MODEL_FILES)}: {error.strerror}"
            ) from error
        if metrics is not None:
            try:
                files.append(("files", ("metrics.json", metrics.read_bytes())))
            except OSError as error:
                raise DataError(f"cannot read {metrics}: {error.strerror}") from error
        data = {"normal": normal, "activate": "true" if activate else "false", "note": note}
        # Of this call: what is repeated after a broken connection makes no second version, a second call does.
        path, key = f"/sites/{site_id}/models/anomaly", {"Idempotency-Key": token_hex(16)}
        return dict(self._json("POST", path, files=files, data=data, headers=key, repeat=True, timeout=MODEL_TRIAL_S))

    def export_anomaly_model(self, model_id: str, folder: Path) -> None:
        """Write an anomaly model of a server as a folder that `isotherm inspect` reads; it must not exist yet.

        Raises
        ------
        OutputError
            Something is there already, or nothing can be written.
        DataError
            What came is no model, as from a server of another version.
        RefusedError
            It is a classifier (409), or there is none (404).
        """
        if folder.exists():
            raise OutputError(f"{folder} exists already; name a new folder")
        content = self._file(f"/models/{model_id}/folder.zip", None)
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                # As large as they are, not as large as they say they become.
                files = {name: _stored(archive, name) for name in MODEL_FILES}
        except (zipfile.BadZipFile, KeyError) as error:
            raise DataError(f"what the server has sent is no folder of an anomaly model: {error}") from error
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            # Under its own name when it is whole: half a folder would be in the way of the next call.
            with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as unfinished:
                whole = Path(unfinished) / folder.name
                whole.mkdir()
                for name, data in files.items():
                    (whole / name).write_bytes(data)
                whole.rename(folder)
        except OSError as error:
            raise OutputError(f"cannot write the model {folder}: {error.strerror}") from error

    def remove_model_files(self, model_id: str) -> dict[str, Any]:
        """Delete the files of a model version that is not at work, for good; its row and numbers stay.

        Raises
        ------
        RefusedError
            It is at work (409), or there is none (404).
        """
        return dict(self._json("DELETE", f"/models/{model_id}/files", repeat=True))

    def job(self, job_id: str, *, wait_s: float = 0) -> dict[str, Any]:
        """Return a job's state, at once, or when it has ended or a time is over."""
        params = {"wait": wait_s} if wait_s else {}
        return dict(self._json("GET", f"/jobs/{job_id}", params=params))

    def wait(self, job_id: str, *, progress: Progress = silent) -> dict[str, Any]:
        """Return a job when it is done.

        Raises
        ------
        JobFailedError
            It has failed, or was cancelled.
        """
        while True:
            job = self.job(job_id, wait_s=LONG_POLL_S)
            state = job.get("progress") or {}
            if state.get("total"):
                progress(state["done"], state["total"], state.get("message") or str(job.get("kind", "job")))
            if job["state"] == "succeeded":
                return job
            if job["state"] not in UNFINISHED:
                raise JobFailedError(job)

    def feedback(self, inspection_id: str, category: str, *, note: str = "") -> dict[str, Any]:
        """Say what a verdict should have been."""
        body = {"category": category, "note": note}
        return dict(self._json("POST", f"/inspections/{inspection_id}/feedback", json=body))

    def assets(self, site_id: str) -> Iterator[dict[str, Any]]:
        """Yield the assets of a site, newest first."""
        yield from self.rows(f"/sites/{site_id}/assets")

    def create_asset(self, site_id: str, name: str, **details: Any) -> dict[str, Any]:
        """Make an asset.

        Parameters
        ----------
        details
            ``kind``, ``place``, ``rating``, ``name_rule``, ``tag`` and what else the API knows of one.

        Raises
        ------
        RefusedError
            The name is taken, or a rule or tag fits another asset too (409); a detail is wrong (422).
        """
        return dict(self._json("POST", f"/sites/{site_id}/assets", json={"name": name, **details}))

    def images_of_asset(self, asset_id: str) -> Iterator[dict[str, Any]]:
        """Yield the images of an asset, newest first."""
        yield from self.rows(f"/assets/{asset_id}/images")

    def assign_asset(self, image_id: str, asset_id: str | None) -> dict[str, Any]:
        """Say which asset an image shows; None: none of them."""
        return self._put_to_image(image_id, "asset", {"asset_id": asset_id})

    def set_load(
        self, image_id: str, *, percent: float | None = None, current_a: float | None = None
    ) -> dict[str, Any]:
        """Say at what load an image was taken: in percent of the rated current or in ampere; neither: not known."""
        return self._put_to_image(image_id, "load", {"load_percent": percent, "current_a": current_a})

    def match_again(self, site_id: str) -> dict[str, Any]:
        """Match the newest images of a site to its assets by the rules of now; returns how many have changed."""
        return dict(self._json("POST", f"/sites/{site_id}/match", repeat=True))

    def trend(self, asset_id: str, *, load_exponent: float = 2.0, coverage: float = 2.0) -> dict[str, Any]:
        """Return the trend of an asset: rows, series and alarms.

        Parameters
        ----------
        load_exponent
            The temperature rise goes with the current to this power, 1.6 to 2.
        coverage
            A change counts beyond so many standard uncertainties.
        """
        params = {"load_exponent": load_exponent, "coverage": coverage}
        return dict(self._json("GET", f"/assets/{asset_id}/trend", params=params))

    def same_views(self, asset_id: str, *, box: tuple[int, int, int, int] | None = None) -> dict[str, Any]:
        """Return how earlier images of an asset lie over the newest one, and what a box in it [px] (x, y, w, h) was."""
        params = {} if box is None else {"box": ",".join(map(str, box))}
        return dict(self._json("GET", f"/assets/{asset_id}/views", params=params))

    def drift(self, site_id: str, *, window: int | None = None) -> dict[str, Any]:
        """Return how far the newest images of a site (`window` of them) are from those its model learnt from."""
        params = {} if window is None else {"window": window}
        return dict(self._json("GET", f"/sites/{site_id}/drift", params=params))

    def drift_checks(self, site_id: str) -> list[dict[str, Any]]:
        """Return the latest checks of drift that the server has made by itself."""
        return list(self._json("GET", f"/sites/{site_id}/drift/checks"))

    def site_report(self, site_id: str, form: str = "pdf", said: Mapping[str, Any] | None = None) -> bytes:
        """Return a report of the latest inspections of a site.

        Parameters
        ----------
        form
            ``pdf``, ``html``, ``docx``, ``csv`` or ``json``.
        said
            ``lang``, ``template``, ``client``, ``inspector`` ... as the API has them, and ``since`` and ``until``.
        """
        return self._file(f"/sites/{site_id}/report.{form}", said)

    def inspection_report(self, inspection_id: str, form: str = "pdf", said: Mapping[str, Any] | None = None) -> bytes:
        """Return a report of one inspection; see `site_report`."""
        return self._file(f"/inspections/{inspection_id}/report.{form}", said)

    def _file(self, path: str, params: Mapping[str, Any] | None) -> bytes:
        return self.transport.send("GET", API + path, params=dict(params or {})).content

    def _put_to_image(self, image_id: str, what: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Say something of an image as it stands now; raises RefusedError (412) where it is changed meanwhile."""
        tag = self.transport.send("GET", f"{API}/images/{image_id}").headers["etag"]
        # Sent again after it was done, it would be refused: the image has another version then.
        return dict(self._json("PUT", f"/images/{image_id}/{what}", json=body, headers={"If-Match": tag}, repeat=False))

    def _json(self, method: str, path: str, *, repeat: bool | None = None, **parts: Unpack[Parts]) -> Any:
        return json_of(self.transport.send(method, API + path, repeat=repeat, **parts))


def _stored(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a file of an archive that does not compress; raises BadZipFile or KeyError."""
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise zipfile.BadZipFile(f"{name} is compressed")
    return archive.read(name)


def _hashed(path: Path) -> _Hashed:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while piece := stream.read(PIECE):
                digest.update(piece)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    return _Hashed(path, path.name, digest.hexdigest())
