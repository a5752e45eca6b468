"""What all tests share: the shared data folder and small synthetic inputs."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import pytest
from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

if TYPE_CHECKING:
    from databases import PostgreSQL
    from isotherm.store.database import Database
    from isotherm.workflows.service.service import Service
    from s3_servers import Bucket, S3Server

# What modules and the list of tests are made of stays: not looked for garbage while it grows, nor afterwards.
gc.disable()

# Programs that tests start are not measured: that made each start a quarter dearer and gave 1 % of lines.
if "PYTEST_XDIST_WORKER" in os.environ:
    for name in [name for name in os.environ if name.startswith("COVERAGE")]:
        del os.environ[name]

mpl.use("Agg")
# No damaged sample may start a program each; tests/formats/test_dji.py asks for one by itself.
os.environ["ISOTHERM_DJI_READER"] = "none"
os.environ.pop("ISOTHERM_DJI_SDK", None)
# PEP 484: where a float is asked for, an int will do.
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))


def modules_with_shapes() -> list[str]:
    """Return the modules that state shapes of arrays, which mypy cannot check."""
    source = Path(__file__).resolve().parents[1] / "src"
    stating = [path for path in (source / "isotherm").rglob("*.py") if b"jaxtyping" in path.read_bytes()]
    return [".".join(path.relative_to(source).with_suffix("").parts) for path in sorted(stating)]


# Their functions are checked while the tests run. With ISOTHERM_CHECK_ALL those of all modules are, types too, which
# takes twice the processor time.
_hook = install_import_hook(
    "isotherm" if os.environ.get("ISOTHERM_CHECK_ALL") else modules_with_shapes(), "conftest.checked"
)

DATA = Path(os.environ.get("ISOTHERM_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def long_ones_first(files: Sequence[str], slow: Sequence[bool], workers: int) -> list[int]:
    """Return an order of tests in which each worker begins with its share of the slow ones, file by file.

    Workers get parts of one length (``--dist worksteal``) and take from one another what was not begun: a slow test
    that is begun last is waited for by all.
    """
    queues: list[list[int]] = [[] for _ in range(workers)]
    for turn, file in enumerate(dict.fromkeys(file for file, is_slow in zip(files, slow, strict=True) if is_slow)):
        queues[turn % workers] += [at for at in range(len(files)) if slow[at] and files[at] == file]
    quick = [at for at in range(len(files)) if not slow[at]]
    order: list[int] = []
    for number, queue in enumerate(queues):
        length = (len(files) - len(order)) // (workers - number)
        taken = max(0, length - len(queue))
        order += [*queue, *quick[:taken]]
        quick = quick[taken:]
    return order + quick


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with long tests; skip what needs the shared data where it is absent."""
    if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
        slow = [item.get_closest_marker("slow") is not None for item in items]
        items[:] = [items[at] for at in long_ones_first([str(item.path) for item in items], slow, workers)]
    if DATA.is_dir():
        return
    skip = pytest.mark.skip(reason=f"needs the shared data ({DATA}; set ISOTHERM_DATA)")
    for item in items:
        if item.get_closest_marker("real_data"):
            item.add_marker(skip)


def pytest_collection_finish() -> None:
    """Begin to look for garbage, in what comes from now on."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def data() -> Path:
    """Return the shared data folder; use it together with the marker ``real_data``."""
    return DATA


@pytest.fixture
def roomy_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that every disk is half empty: what a server is ready for must not depend on who runs the tests."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=10**12, used=5 * 10**11, free=5 * 10**11))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """Give a private server of PostgreSQL; skips where none is installed."""
    from databases import postgresql_server

    with postgresql_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the address of a database without tables, on both kinds of database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
    else:
        with request.getfixturevalue("postgresql").database(template="template0") as url:
            yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database of SQLite with the schema and nothing else, to be copied."""
    from databases import make_schema

    path = tmp_path_factory.mktemp("template") / "isotherm.db"
    make_schema(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the URL of a fresh database with the schema, for tests that start processes."""
    if request.param == "sqlite":
        path = tmp_path / "isotherm.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
    else:
        with request.getfixturevalue("postgresql").database() as url:
            yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Give a fresh open database with the schema, once of each kind."""
    from isotherm.store.database import Database

    found = Database.open(database_url)
    yield found
    found.close()


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Server]:
    """Give an imitation of S3."""
    from s3_servers import moto_server

    with moto_server() as server:
        yield server


@pytest.fixture(scope="session")
def juicefs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Give a real server of S3's protocol; skips where its program is not installed."""
    from s3_servers import juicefs_server

    with juicefs_server(tmp_path_factory.mktemp("juicefs")) as server:
        yield server


@pytest.fixture(params=["moto", "juicefs"])
def bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """Give a fresh bucket on each server of S3, with what is needed to use it in the environment."""
    from s3_servers import Bucket

    found = Bucket.fresh(request.getfixturevalue(request.param))
    for name, value in found.server.environment().items():
        monkeypatch.setenv(name, value)
    return found


@pytest.fixture
def service(database: Database, tmp_path: Path) -> Iterator[Service]:
    """Give an open, empty data folder of a server, on each database; files are decoded in the test's own process."""
    from isotherm.workflows.service.service import Limits, Service

    with Service(database, tmp_path / "data", limits=Limits(children=0)) as found:
        yield found


@pytest.fixture
def folder(tmp_path: Path, sqlite_template: Path) -> Iterator[Service]:
    """Give an open, empty data folder on SQLite alone; files are decoded in the test's own process."""
    from isotherm.store.database import Database
    from isotherm.workflows.service.service import Limits, Service

    shutil.copyfile(sqlite_template, tmp_path / "isotherm.db")
    database = Database.open(f"sqlite:///{tmp_path / 'isotherm.db'}")
    with Service(database, tmp_path / "data", limits=Limits(children=0)) as found:
        yield found


@pytest.fixture
def caller_for(folder: Service) -> Iterator[Callable[..., Any]]:
    """Give what makes clients (`api_cases.Caller`) of applications with other settings over one data folder."""
    from api_cases import Caller
    from starlette.testclient import TestClient

    from isotherm.server.app import create_app
    from isotherm.server.settings import ServerSettings

    made: list[TestClient] = []

    def make(*, token: str = "", base_url: str = "http://127.0.0.1:8000", **settings: Any) -> Caller:
        app = create_app(folder, settings=ServerSettings(**settings))
        headers = {"authorization": f"Bearer {token}"} if token else {}
        made.append(TestClient(app, base_url=base_url, headers=headers))
        return Caller(made[-1])

    yield make
    for client in made:
        client.close()
        client.app.state.lane.close()  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def local_app(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Service]]:
    """Give one application with the usual settings, which takes long to make, and the service that it stands on."""
    from isotherm.server.app import create_app
    from isotherm.store.database import Database
    from isotherm.workflows.service.service import Service

    with Service(Database.open(f"sqlite:///{sqlite_template}"), tmp_path_factory.mktemp("unused")) as service:
        app, own = create_app(service), dict(vars(service))
        yield app, service
        vars(service).update(own)
    app.state.lane.close()


@pytest.fixture
def call(local_app: tuple[Any, Service], folder: Service) -> Iterator[Any]:
    """Give a client of the local user (`api_cases.Caller`) over the test's own data folder."""
    from api_cases import calling

    with calling(local_app, folder) as caller:
        yield caller
