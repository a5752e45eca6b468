"""``isotherm backbones``: list, add, and fetch from a server of the test's own."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from safetensors.numpy import save, save_file

from isotherm.cli.main import main
from isotherm.runtime import weight_fetch
from isotherm.runtime.backbones import BACKBONES
from isotherm.runtime.weights import cache_folder
from random_weights import add_random, random_tensors

DONE, FAILED, USAGE = 0, 1, 2
RESNET18 = BACKBONES.get("resnet18")
PATH = "/models/resnet18-f37072fd.pth"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ISOTHERM_CACHE", str(tmp_path / "cache"))
    return tmp_path


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        status, data, length = self.server.answers.get(self.path, (404, b"", 0))
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.asked, running.answers = [], {}
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def publish(server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch, data: bytes) -> str:
    """Put a file on the server, and let it be the one that is expected; returns the server's address."""
    server.answers[PATH] = (200, data, len(data))
    download = replace(RESNET18.source.download, sha256=hashlib.sha256(data).hexdigest())
    monkeypatch.setattr("isotherm.cli.backbones.BACKBONES", {"resnet18": with_download(download)})
    return f"http://127.0.0.1:{server.server_address[1]}"


def with_download(download: object) -> object:
    return replace(RESNET18, source=replace(RESNET18.source, download=download))


def test_list(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    added = add_random("resnet18", cache)
    assert main(["backbones"]) == DONE
    text = capsys.readouterr().out
    assert all(f"{name}: " in text for name in BACKBONES.names())
    assert f"weights  {added.digest[:12]}..." in text
    assert "not here; isotherm backbones fetch vgg16 (about 553 MB), or with a file of them" in text
    assert "not here; get a file from its publisher, then: isotherm backbones add dinov3_vits16 FILE" in text
    assert str(cache / "cache") in text


def test_add(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tensors = random_tensors("resnet18")
    save_file(tensors | {"fc.weight": tensors["bn1.weight"]}, cache / "weights.safetensors")
    assert main(["backbones", "add", "resnet18", str(cache / "weights.safetensors")]) == DONE
    (written,) = cache_folder().iterdir()
    text = capsys.readouterr().out
    assert str(written) in text
    assert "left out, not part of the network: fc.weight" in text
    assert RESNET18.loaded().graph is not None


def test_fetch(
    cache: Path, server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    address = publish(server, monkeypatch, save(random_tensors("resnet18")))
    assert main(["backbones", "fetch", "resnet18", "--mirror", address + "/"]) == DONE
    said = capsys.readouterr()
    assert "are now in" in said.out
    assert "kilobytes" in said.err
    assert server.asked == [PATH]
    assert [path.suffix for path in cache_folder().iterdir()] == [".safetensors"]
    assert len(RESNET18.loaded().digest) == 64


def refused(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = FAILED) -> str:
    assert main(["backbones", *arguments]) == status
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("isotherm: ")
    assert not cache_folder().exists() or not list(cache_folder().iterdir())
    return error


def test_what_a_server_may_do_wrong(
    server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    address = publish(server, monkeypatch, b"expected")
    fetch = ("fetch", "resnet18", "--mirror", address)
    server.answers[PATH] = (200, b"another", 7)
    assert "is not the expected file (sha256 " in refused(capsys, *fetch)
    server.answers[PATH] = (200, b"expec", 8)
    assert "only 5 of 8 bytes came" in refused(capsys, *fetch)
    server.answers[PATH] = (404, b"", 0)
    by_hand = f"fetch {address}{PATH} on another computer, then here: isotherm backbones add resnet18 FILE"
    assert by_hand in refused(capsys, *fetch)
    server.answers[PATH] = (200, b"expected", 8)
    monkeypatch.setattr(weight_fetch, "MAX_FILE_BYTES", 7)
    assert "has more than 7 bytes" in refused(capsys, *fetch)
    monkeypatch.undo()


def test_no_network(capsys: pytest.CaptureFixture[str]) -> None:
    # Nobody listens at port 1.
    error = refused(capsys, "fetch", "vgg16", "--mirror", "http://127.0.0.1:1")
    assert "no network, or no way to 127.0.0.1:1" in error
    assert "isotherm backbones add vgg16 FILE" in error


def test_a_full_disk(
    server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    address = publish(server, monkeypatch, b"expected")
    opened = Path.open

    def failing(self: Path, *arguments: object) -> object:
        if self.suffix == ".part":
            raise OSError(28, "No space left on device")
        return opened(self, *arguments)

    monkeypatch.setattr(Path, "open", failing)
    assert "No space left on device" in refused(capsys, "fetch", "resnet18", "--mirror", address)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["add"], "NAME is missing: isotherm backbones add NAME FILE"),
        (["add", "resnet18"], "FILE is missing"),
        (["list", "resnet18"], "too much: isotherm backbones list"),
        (["fetch", "resnet18", "x.pth"], "too much: isotherm backbones fetch NAME"),
        (["fetch", "resnet"], "unknown backbone 'resnet'"),
        (["fetch", "efficientnet_lite1"], "come with a package; there is nothing to fetch"),
        (["fetch", "dinov3_vits16"], "their publisher wants an account"),
        (["fetch", "vgg16", "--mirror", "ftp://somewhere"], "a mirror must be an address such as"),
        (["--mirror", "http://somewhere"], "--mirror is for"),
    ],
)
def test_bad_usage(arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert reason in refused(capsys, *arguments, status=USAGE)


def test_publishers_files_bear_their_digest() -> None:
    for name in BACKBONES.names():
        download = getattr(BACKBONES.get(name).source, "download", None)
        if download:
            assert download.url.startswith("https://")
            assert len(bytes.fromhex(download.sha256)) == 32
        if download and "pytorch.org" in download.url:
            assert download.url.endswith(f"{name}-{download.sha256[:8]}.pth")
