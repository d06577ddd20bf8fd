"""A web site whose pages read a stream of the server behind it, over a network that breaks; and a browser."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from tests.client.network import Client, Relay

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGES = {f"/{file.name}": file.read_bytes() for file in [*HERE.glob("*.html"), ROOT / "clients" / "riverrun.mjs"]}
KINDS = {".html": "text/html; charset=utf-8", ".mjs": "text/javascript"}
REPORT_LIMIT = 60.0

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Site(Relay):
    """Gives out the pages and takes their report; everything else goes to the server behind it."""

    def __init__(self, target: int, pages: Mapping[str, bytes]) -> None:
        super().__init__(target)
        self.pages = PAGES | dict(pages)
        self._report: asyncio.Future[dict[str, object]] = asyncio.get_running_loop().create_future()

    def client(self) -> Client:
        return Visitor(self)

    def reported(self, body: bytes) -> None:
        if not self._report.done():
            self._report.set_result(json.loads(body))

    async def report(self) -> dict[str, object]:
        async with asyncio.timeout(REPORT_LIMIT):
            return await self._report


class Visitor(Client):
    """A browser's connection: whole requests for the site's own pages are answered here."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._site = site
        self._report: bytes | None = None  # as much as has come of it

    def data_received(self, data: bytes) -> None:
        path = data.partition(b" ")[2].partition(b" ")[0].partition(b"?")[0].decode("latin-1")
        if path == "/report" or self._report is not None:
            self._take_report(data)
        elif path in self._site.pages:
            self._answer("200 OK", KINDS[Path(path).suffix], self._site.pages[path])
        elif path == "/favicon.ico":
            self._answer("404 Not Found", "text/plain", b"")
        else:
            super().data_received(data)

    def _take_report(self, data: bytes) -> None:
        self._report = (self._report or b"") + data
        head, _, body = self._report.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").lower().split("\r\n")
        size = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length:"))
        if len(body) == size:
            self._site.reported(body)
            self._answer("200 OK", "text/plain", b"")

    def _answer(self, status: str, kind: str, body: bytes) -> None:
        head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self._transport.write(head.encode() + body)
        self._transport.close()


@asynccontextmanager
async def site(target: int, pages: Mapping[str, bytes] | None = None) -> AsyncIterator[Site]:
    """The site on a free port, in front of the server on port `target`; `pages` are more pages, by path."""
    place = Site(target, pages or {})
    await place.listen()
    try:
        yield place
    finally:
        await place.vanish()


@contextmanager
def visiting(url: str, profile: Path) -> Iterator[None]:
    """A headless browser that shows the page, with a profile of its own."""
    assert CHROMIUM is not None
    quiet = [
        "--no-proxy-server",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-dev-shm-usage",
    ]
    command = [
        CHROMIUM,
        "--headless=new",
        "--no-sandbox",
        "--no-proxy-server",
        f"--user-data-dir={profile}",
        *quiet,
        url,
    ]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, start_new_session=True
    ) as browser:
        try:
            yield
        finally:
            os.killpg(browser.pid, signal.SIGKILL)
