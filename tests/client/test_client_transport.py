"""What the client does when a server is slow, full, away, or no isotherm server at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import httpx2
import pytest

from isotherm.client.transport import RefusedError, Transport, json_of
from isotherm.core.errors import ConfigError, UnreachableError

Answer = httpx2.Response | Exception


class Script:
    """Gives one answer after the other and remembers requests and pauses."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self._answers = list(answers)
        self.requests: list[httpx2.Request] = []
        self.pauses: list[float] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


Connect = Callable[..., tuple[Transport, Script]]


@pytest.fixture
def connect() -> Connect:
    def made(*answers: Answer, **parts: object) -> tuple[Transport, Script]:
        script = Script(answers)
        transport = Transport(
            "http://server", transport=httpx2.MockTransport(script), sleep=script.pauses.append, **parts
        )
        return transport, script

    return made


OK = {"status_code": 200, "json": {"ok": True}}


def test_token_is_sent_and_answer_is_read(connect: Connect) -> None:
    transport, script = connect(httpx2.Response(**OK), token="isotherm_x")
    assert json_of(transport.send("GET", "/a")) == {"ok": True}
    assert script.requests[0].headers["authorization"] == "Bearer isotherm_x"
    assert str(script.requests[0].url) == "http://server/a"


def test_busy_server_is_asked_again_when_it_says_so(connect: Connect) -> None:
    busy = [httpx2.Response(429, headers={"Retry-After": value}) for value in ("3", "0", "9999", "soon", "-1")]
    transport, script = connect(*busy, httpx2.Response(**OK))
    transport.send("POST", "/a")
    assert script.pauses[:3] == [3, 0, 60]
    assert all(0 < pause <= 60 for pause in script.pauses[3:])


def test_busy_for_too_long_is_an_error(connect: Connect) -> None:
    transport, script = connect(*[httpx2.Response(429, json={"detail": "full"})] * 3, tries=3)
    with pytest.raises(RefusedError, match="429: full"):
        transport.send("GET", "/a")
    assert len(script.requests) == 3


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_broken_connection_is_tried_again_where_nothing_can_be_doubled(connect: Connect, method: str) -> None:
    transport, script = connect(httpx2.ReadError("reset"), httpx2.Response(502), httpx2.Response(**OK))
    assert transport.send(method, "/a").status_code == 200
    assert len(script.requests) == 3


def test_creating_request_is_not_sent_twice(connect: Connect) -> None:
    transport, script = connect(httpx2.ReadError("reset"))
    with pytest.raises(UnreachableError):
        transport.send("POST", "/a")
    transport, script = connect(httpx2.Response(504, json={"title": "Gateway Timeout"}))
    with pytest.raises(RefusedError, match="504: Gateway Timeout"):
        transport.send("POST", "/a")
    assert len(script.requests) == 1


def test_creating_request_is_sent_again_where_no_server_has_seen_it(connect: Connect) -> None:
    transport, script = connect(httpx2.ConnectError("refused"), httpx2.Response(503), httpx2.Response(**OK))
    assert transport.send("POST", "/a").status_code == 200
    assert len(script.requests) == 3


def test_server_that_is_away_is_told_in_words(connect: Connect) -> None:
    transport, _ = connect(*[httpx2.ConnectError("[Errno 111] Connection refused")] * 2, tries=2)
    with pytest.raises(UnreachableError, match=r"no server answers at http://server .*is 'isotherm serve' running"):
        transport.send("GET", "/a")


def test_slow_server_is_told(connect: Connect) -> None:
    transport, _ = connect(httpx2.ReadTimeout("slow"))
    with pytest.raises(UnreachableError, match="has not answered in time"):
        transport.send("GET", "/a")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"detail": "no such site", "title": "x"}, "404: no such site"),
        ({"error_msg": ["one", "two"]}, "404: one; two"),
        ({"error_msg": "one"}, "404: one"),
        ({"error": "oip"}, "404: oip"),
        ({"detail": "d", "errors": [{"pointer": "#/name", "detail": "too long"}]}, "404: d; #/name: too long"),
        ([1], "404: Not Found"),
    ],
)
def test_reason_of_the_server_is_shown(connect: Connect, body: object, message: str) -> None:
    transport, _ = connect(httpx2.Response(404, json=body))
    with pytest.raises(RefusedError) as caught:
        transport.send("GET", "/a")
    assert str(caught.value) == message


def test_missing_token_is_explained(connect: Connect) -> None:
    transport, _ = connect(httpx2.Response(401, json={"detail": "a token is needed"}))
    with pytest.raises(RefusedError, match="ISOTHERM_TOKEN"):
        transport.send("GET", "/a")


def test_page_of_something_else_is_no_answer(connect: Connect) -> None:
    transport, _ = connect(httpx2.Response(200, text="<html>router</html>"))
    with pytest.raises(RefusedError, match="not JSON"):
        json_of(transport.send("GET", "/a"))


@pytest.mark.parametrize("url", ["", "server", "ftp://server", "http://[bad", "javascript:alert(1)"])
def test_wrong_url_is_a_usage_error(url: str) -> None:
    with pytest.raises(ConfigError, match=r"URL of a server|cannot be used"):
        Transport(url).send("GET", "/")
