"""``isotherm serve``: the data folder opened, the workers started, the address bound, until somebody stops it."""

from __future__ import annotations

import errno
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from isotherm.core.errors import IsothermError, OutputError, UsageError
from isotherm.core.memory import loading_for_good, share_heaps
from isotherm.jobs.traces import tracing
from isotherm.server.app import create_app, warm_up
from isotherm.server.logs import log_to, stop_logging
from isotherm.server.protocol import PatientProtocol
from isotherm.server.settings import ServerSettings, host_name, is_loopback
from isotherm.store.folder import blobs_of
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.tokens import any_token
from isotherm.workflows.service.working import workers

SWITCH_S = 0.001
GRACEFUL_S = 10
"""How long answers that are under way may take when the server is stopped [s]."""
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


@dataclass(frozen=True)
class ServeOptions:
    """What somebody who starts a server says.

    Parameters
    ----------
    folder
        The data folder; made where it does not exist.
    host, port
        Where to listen; port 0 is any that is free.
    workers
        How many processes run jobs.
    database_url
        None for SQLite in the folder.
    blobs
        Where the files of a new folder shall be, ``s3://bucket/prefix``; empty for the folder, or as it remembers.
    public_url
        How browsers reach the server through a proxy; then every request needs a token.
    insecure
        Serve other machines without tokens.
    metrics_sites
        How many sites have figures of their own.
    compat
        The folders of the compatibility routes; None for its default.
    """

    folder: Path
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    database_url: str | None = None
    blobs: str = ""
    public_url: str = ""
    insecure: bool = False
    metrics_sites: int = 20
    compat: Any = None


@dataclass(frozen=True)
class Listening:
    """Where a server can be reached, and whether it asks for tokens."""

    url: str
    needs_token: bool


def serve(options: ServeOptions, announce: Callable[[Listening], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Parameters
    ----------
    options
        Where and what.
    announce
        Called when requests are taken.

    Raises
    ------
    IsothermError
        The address is taken or is no place to serve without tokens; the folder or the database cannot be used.
    """
    # Threads that take uploads in hold Python's lock; the loop that answers for health gets it sooner so.
    sys.setswitchinterval(SWITCH_S)
    share_heaps()
    with ExitStack() as stack:
        handle = stack.enter_context(_bound(options))
        service = stack.enter_context(_opened(options))
        settings = settings_for(options, tokens=any_token(service))
        stack.enter_context(_logging(options.folder))
        stack.enter_context(tracing())
        stack.enter_context(_workers(options))
        with loading_for_good():
            app = create_app(service, settings=settings)
            warm_up()
        _run(app, handle, options, announce)


def settings_for(options: ServeOptions, *, tokens: bool) -> ServerSettings:
    """Return how a server listens: alone for this machine's user, or for others with tokens.

    Raises
    ------
    UsageError
        Others could reach it without a token.
    """
    private = is_loopback(options.host) and not options.public_url
    if not private and not tokens and not options.insecure:
        raise UsageError(
            f"{options.public_url or options.host} can be reached by others, and there is no token yet; make one with "
            f"'isotherm token issue NAME --scopes admin --data {options.folder}' (or say --insecure)"
        )
    local = private or (options.insecure and not tokens)
    hosts = LOOPBACK | {host_name(_bracketed(options.host))} if is_loopback(options.host) else None
    return ServerSettings(
        local=local,
        hosts=hosts,
        public_url=options.public_url,
        metrics_sites=options.metrics_sites,
        compat=options.compat,
    )


@contextmanager
def _bound(options: ServeOptions) -> Iterator[socket.socket]:
    """Give a socket that is bound, before anything else is started."""
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    # With its protocol named: only then asyncio sends small answers at once (TCP_NODELAY), not 40 ms later.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as handle:
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            handle.bind((options.host.strip("[]"), options.port))
        except OSError as error:
            raise _no_address(options, error) from error
        yield handle


def _no_address(options: ServeOptions, error: OSError) -> IsothermError:
    place = f"{_bracketed(options.host)}:{options.port}"
    if error.errno == errno.EADDRINUSE:
        return OutputError(f"{place} is taken by another program; choose another with --port (0: any that is free)")
    if error.errno == errno.EACCES:
        return OutputError(f"{place} is kept for the system; choose a port above 1023")
    return UsageError(f"{place} is no address of this machine ({error.strerror})")


@contextmanager
def _opened(options: ServeOptions) -> Iterator[Service]:
    try:
        if options.blobs:
            blobs_of(options.folder, options.blobs)
        service = Service.open(options.folder, options.database_url)
    except OSError as error:
        raise OutputError(f"the data folder {options.folder} cannot be used: {error.strerror}") from error
    with service:
        yield service


@contextmanager
def _logging(folder: Path) -> Iterator[None]:
    handlers = log_to(folder / "log")
    try:
        yield
    finally:
        stop_logging(handlers)


@contextmanager
def _workers(options: ServeOptions) -> Iterator[None]:
    """Keep the worker processes alive as long as the server lives."""
    with workers(options.folder, options.database_url, options.workers):
        yield


def _run(app: Any, handle: socket.socket, options: ServeOptions, announce: Callable[[Listening], None]) -> None:
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(options.public_url),
        timeout_keep_alive=30,
        timeout_graceful_shutdown=GRACEFUL_S,
    )
    server = _Server(config, lambda: announce(_listening(handle, app.state.settings)))
    app.state.stopping = lambda: server.should_exit
    with _signals_of_server():
        server.run(sockets=[handle])


class _Server(uvicorn.Server):
    """A server that says when it takes requests."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        if self.started:
            self._started()


@contextmanager
def _signals_of_server() -> Iterator[None]:
    """Let a signal end the server and nothing else; uvicorn raises it again when it has stopped."""
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _listening(handle: socket.socket, settings: ServerSettings) -> Listening:
    host, port = handle.getsockname()[:2]
    return Listening(settings.public_url or f"http://{_bracketed(host)}:{port}", not settings.local)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
