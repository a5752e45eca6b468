"""``isotherm serve`` as a program: starts, says where, stops when told; or says in one line why it does not start."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from isotherm.cli.main import main


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, subprocess.Popen[str], Path]]:
    """Start a server on a free port without workers; gives its address, process and folder."""
    folder = tmp_path_factory.mktemp("served")
    command = [sys.executable, "-m", "isotherm", "serve", "--port", "0", "--workers", "0", "--data", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+", line)
    assert found, line
    yield found[0], process, folder
    process.kill()
    process.wait()
    process.stdout.close()


def connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    assert parts.port is not None
    return socket.create_connection((parts.hostname, parts.port), timeout=30)


def get(url: str, path: str) -> http.client.HTTPResponse:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def test_it_answers_on_the_port_that_it_has_said(running: tuple[str, subprocess.Popen[str], Path]) -> None:
    url, _, folder = running
    answer = get(url, "/healthz")
    assert answer.status == 200
    assert answer.headers["server"] is None
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (folder / "isotherm.db").is_file()
    assert (folder / "server.key").stat().st_mode & 0o077 == 0
    assert get(url, "/readyz").status == 503, "no worker"


def test_a_broken_request_is_400_and_a_header_that_is_too_long_too(
    running: tuple[str, subprocess.Popen[str], Path],
) -> None:
    url, _, _ = running
    for sent in (b"NOT HTTP\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"y" * 100_000 + b"\r\n\r\n"):
        with connect(url) as line:
            line.sendall(sent)
            assert line.recv(100).startswith(b"HTTP/1.1 400")
    assert get(url, "/healthz").status == 200


def test_a_header_that_does_not_come_to_an_end_costs_a_connection_only(
    running: tuple[str, subprocess.Popen[str], Path],
) -> None:
    from isotherm.server import protocol

    url, _, _ = running
    with connect(url) as line:
        line.sendall(b"GET /healthz HTTP/1.1\r\n")
        started = time.monotonic()
        assert get(url, "/healthz").status == 200
        assert line.recv(100) == b""
        assert time.monotonic() - started < protocol.HEADER_S + 10


def test_another_server_on_the_same_port_says_that_it_is_taken(
    running: tuple[str, subprocess.Popen[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = str(urlsplit(running[0]).port)
    assert main(["serve", "--port", port, "--data", str(tmp_path / "other")]) == 1
    said = capsys.readouterr().err
    assert "is taken" in said
    assert said.count("\n") == 1


def test_it_does_not_start_where_others_could_come_without_a_token(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--host", "0.0.0.0", "--port", "0", "--data", str(tmp_path)]) == 2
    assert "token issue" in capsys.readouterr().err


def test_a_folder_that_cannot_be_used_and_a_newer_database_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert main(["serve", "--port", "0", "--data", str(blocked / "below")]) == 1
    assert "cannot be used" in capsys.readouterr().err
    assert main(["token", "list", "--data", str(tmp_path / "data")]) == 0
    with sqlite3.connect(tmp_path / "data" / "isotherm.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    assert main(["serve", "--port", "0", "--data", str(tmp_path / "data")]) == 1
    assert "9999" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong", [["--port", "70000"], ["--workers", "-1"], ["--public-url", "nonsense"], ["--host", "no such host"]]
)
def test_wrong_arguments_are_one_line(wrong: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--data", str(tmp_path), "--port", "0", *wrong]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_tokens_are_issued_listed_and_revoked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--data", str(tmp_path)]
    assert main(["token", "list", *data]) == 0
    assert "no tokens" in capsys.readouterr().out
    assert main(["token", "issue", "camera 4", "--scopes", "write, read", *data]) == 0
    token = capsys.readouterr().out.split()[0]
    assert re.fullmatch(r"isotherm_[0-9a-f-]{36}_[0-9a-f]{64}", token)
    assert main(["token", "list", *data]) == 0
    listed = capsys.readouterr().out
    assert "camera 4" in listed
    assert "never used" in listed
    assert token.rsplit("_", 1)[1] not in listed
    assert main(["token", "revoke", token.split("_")[1], *data]) == 0
    assert main(["token", "list", *data]) == 0
    assert "revoked" in capsys.readouterr().out
    for wrong in (
        ["issue", "x", "--scopes", "root"],
        ["issue", "x", "--days", "0"],
        ["issue", "x", "--site", "no such"],
        ["revoke", "x"],
    ):
        assert main(["token", *wrong, *data]) in (1, 2)
        assert capsys.readouterr().err.count("\n") == 1


def test_it_stops_when_told_and_its_log_is_json(running: tuple[str, subprocess.Popen[str], Path]) -> None:
    url, process, folder = running
    get(url, "/healthz?token=secret")
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(30) == 0
    assert process.stdout is not None
    assert "Traceback" not in process.stdout.read()
    lines = (folder / "log" / "server.jsonl").read_text().splitlines()
    assert all(json.loads(line)["at"] for line in lines)
    assert "secret" not in "".join(lines)
    assert any(json.loads(line).get("route") == "/healthz" for line in lines)
