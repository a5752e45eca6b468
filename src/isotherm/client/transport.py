"""Requests that are tried again where that helps, and errors that say what to do."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TypedDict, Unpack

from isotherm.core.errors import ConfigError, IsothermError, MissingExtraError, UnreachableError
from isotherm.core.web import http_parts

try:
    import httpx2
except ModuleNotFoundError as error:
    raise MissingExtraError("talking to a server", "client") from error

USUAL_URL = "http://127.0.0.1:8000"
TRIES, FIRST_TRIES = 8, 4
LONGEST_PAUSE_S = 60.0
UNTOUCHED = frozenset({429, 503})
"""Answers that say that nothing was done yet; the same request may succeed a little later."""
GATEWAY = frozenset({502, 504})
"""Answers of a proxy that does not know what became of the request."""
REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})
"""Methods whose repetition changes nothing (RFC 9110, section 9.2.2)."""


class Parts(TypedDict, total=False):
    """What a request holds beside method and path, as `httpx2.Client.request` takes it; no stream that ends."""

    json: Any
    content: bytes
    files: list[tuple[str, tuple[str, bytes]]]
    data: Mapping[str, str]
    params: Mapping[str, Any]
    headers: Mapping[str, str]
    timeout: float


class RefusedError(IsothermError):
    """The server has answered that it will not.

    Parameters
    ----------
    status
        Of the answer.
    detail
        Its reason.
    body
        The answer as JSON; None where it is none.
    """

    def __init__(self, status: int, detail: str, body: Any = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.body = status, detail, body


class Transport:
    """A connection to one server.

    Parameters
    ----------
    url
        Of the server, without a path.
    token
        Sent as ``Authorization: Bearer``; None for a server of this machine without login.
    timeout_s
        How long an answer may take.
    tries
        How often a request is sent at most, where an answer is 429 or 503 or a connection breaks.
    transport
        In place of the network, for tests.
    sleep
        In place of waiting, for tests.
    """

    def __init__(
        self,
        url: str = USUAL_URL,
        *,
        token: str | None = None,
        timeout_s: float = 60.0,
        tries: int = TRIES,
        transport: httpx2.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if http_parts(url) is None:
            raise ConfigError(f"the URL of a server is like {USUAL_URL}, not {url[:200]!r}")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.url, self._tries, self._sleep = url.rstrip("/"), tries, sleep
        self._reached = False
        try:
            # No proxies and no .netrc of the environment: a token goes to the server that was named, nowhere else.
            self._http = httpx2.Client(
                base_url=self.url, headers=headers, timeout=timeout_s, transport=transport, trust_env=False
            )
        except (httpx2.InvalidURL, UnicodeError, ValueError) as error:
            raise ConfigError(f"{url!r} or the token cannot be used: {error}") from error

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Transport:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(self, method: str, path: str, *, repeat: bool | None = None, **parts: Unpack[Parts]) -> httpx2.Response:
        """Send a request, again where that helps, and return the answer if it is a good one.

        Parameters
        ----------
        method, path, parts
            See `Parts`.
        repeat
            Whether it may be sent again after a connection broke; None: where the method allows it.

        Raises
        ------
        UnreachableError
            No server answers, or not in time.
        RefusedError
            The answer is no good one.
        """
        again = method in REPEATABLE if repeat is None else repeat
        for attempt in range(1, self._tries + 1):
            # A server that has answered before may be starting again; one that never has is probably not there.
            last = attempt >= (self._tries if self._reached else min(self._tries, FIRST_TRIES))
            try:
                answer = self._http.request(method, path, **parts)
                self._reached = True
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                self._rest_or_raise(error, attempt, last=last)
            except httpx2.TimeoutException as error:
                raise UnreachableError(f"{self.url} has not answered in time") from error
            except httpx2.TransportError as error:
                self._rest_or_raise(error, attempt, last=last or not again)
            else:
                last = attempt == self._tries
                if last or answer.status_code not in (UNTOUCHED | GATEWAY if again else UNTOUCHED):
                    return _good(answer)
                self._sleep(_pause_s(answer.headers, attempt))
        raise AssertionError("the last attempt returns or raises")

    def _rest_or_raise(self, error: Exception, attempt: int, *, last: bool) -> None:
        if last:
            raise UnreachableError(
                f"no server answers at {self.url} ({_first_line(error)}); is 'isotherm serve' running there?"
            ) from error
        self._sleep(min(2.0 ** (attempt - 3), 2.0))


def _pause_s(headers: Mapping[str, str], attempt: int) -> float:
    """Return how long to wait: what ``Retry-After`` says (seconds), else longer each time [s]."""
    try:
        said = float(headers.get("Retry-After", ""))
    except ValueError:
        said = math.nan
    return min(said if said >= 0 else 0.25 * 2.0**attempt, LONGEST_PAUSE_S)


def _good(answer: httpx2.Response) -> httpx2.Response:
    if answer.is_success or answer.is_redirect:
        return answer
    raise RefusedError(answer.status_code, _reason(answer), _json(answer))


def _reason(answer: httpx2.Response) -> str:
    """Return why the server refuses, from a problem (RFC 9457) or an answer of the compatibility routes."""
    body = _json(answer)
    found = body if isinstance(body, dict) else {}
    said = found.get("detail") or found.get("error_msg") or found.get("error") or found.get("title")
    text = "; ".join(str(each) for each in said) if isinstance(said, list) else str(said or answer.reason_phrase)
    places = found.get("errors")
    if isinstance(places, list):
        text += "".join(
            f"; {each.get('pointer', '')}: {each.get('detail', '')}" for each in places[:5] if isinstance(each, dict)
        )
    if answer.status_code in (401, 403):
        text += " (--token, or the environment variable ISOTHERM_TOKEN, gives a token)"
    return f"{answer.status_code}: {text}"


def _json(answer: httpx2.Response) -> Any:
    try:
        return answer.json()
    except (ValueError, RecursionError):
        return None


def json_of(answer: httpx2.Response) -> Any:
    """Return an answer's JSON; raises RefusedError where it is none, for then it is no isotherm server."""
    try:
        return json.loads(answer.content)
    except (ValueError, RecursionError) as error:
        raise RefusedError(answer.status_code, f"{answer.url} answers with something that is not JSON") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
