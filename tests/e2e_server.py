"""A real server and a real browser: what the end-to-end tests drive, and what must never happen while they do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route

_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[str]:
    """Start ``isotherm serve`` as a user would, on a free port; give its address, and stop it."""
    command = [sys.executable, "-m", "isotherm", "serve", "--port", "0", "--data", str(folder), *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ISOTHERM_DJI_READER": "none"}
    with (folder.parent / f"{folder.name}.log").open("w+", encoding="utf-8") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        try:
            yield _address(process, log)
        finally:
            process.terminate()
            try:
                process.wait(30)
            finally:
                process.kill()
                assert process.stdout is not None
                process.stdout.close()


def _address(process: subprocess.Popen[str], log: Any) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        found = _ADDRESS.search(line)
        if found:
            return found.group()
    log.seek(0)
    raise AssertionError(f"the server did not start: {log.read()[-2000:]}")


@dataclass
class Watched:
    """A page with all that it must not do: complain, break its policy, or ask anybody but its server."""

    page: Page
    base: str
    complaints: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        self.page.goto(self.base + path)
        return self.page

    def check(self) -> None:
        assert self.complaints == []
        assert self.foreign == []


_POLICY = """addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
  console.error("policy", violatedDirective, blockedURI);
});"""


@contextmanager
def watched(browser: Browser, base: str, **options: Any) -> Iterator[Watched]:
    """Open a page whose every request to another machine is blocked and counted; check it when the block ends."""
    context: BrowserContext = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
    found = Watched(context.new_page(), base)
    context.add_init_script(_POLICY)
    context.route("**/*", lambda route: _only_loopback(route, found))
    context.on("console", lambda message: _complained(message, found))
    context.on("weberror", lambda error: found.complaints.append(str(error.error)))
    found.page.set_default_timeout(60_000)
    try:
        yield found
        found.check()
    finally:
        context.close()


def _complained(message: ConsoleMessage, found: Watched) -> None:
    if message.type in ("error", "warning"):
        found.complaints.append(message.text)


def _only_loopback(route: Route, found: Watched) -> None:
    url = route.request.url
    if urlsplit(url).hostname == "127.0.0.1" or url.startswith(("data:", "blob:")):
        route.continue_()
        return
    found.foreign.append(url)
    route.abort()


def accessible(page: Page) -> None:
    """Raise where axe finds fault with a page."""
    results = Axe().run(page)
    assert results.violations_count == 0, f"{page.url}\n{results.generate_report()}"
