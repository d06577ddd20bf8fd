"""Requests to an application without a host, so that they run on the virtual clock: each is a call that can hang up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping

import msgspec

from riverrun.server.app import App
from riverrun.server.asgi import Message, Scope
from riverrun.server.stream import StreamCut
from riverrun.wire.sse import HEARTBEAT, Decoder

PATIENCE = 100_000.0
"""Virtual seconds."""


class Call:
    """One request. `clean`: its answer came to a proper end; None: it has not ended."""

    def __init__(self, app: App, method: str, path: str, body: object = None, /, **headers: str) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.clean: bool | None = None
        self._left = asyncio.Event()
        self._request = b"" if body is None else json.dumps(body).encode()
        self._changed = asyncio.Event()
        self._task = asyncio.ensure_future(self._run(app, _scope(method, path, headers)))

    @property
    def json(self) -> dict[str, object]:
        value: dict[str, object] = msgspec.json.decode(self.body)
        return value

    @property
    def code(self) -> object:
        """The code of the error."""
        error = self.json["error"]
        assert isinstance(error, dict)
        return error["code"]

    @property
    def events(self) -> list[bytes]:
        return [event.data for event in Decoder().feed(self.body)]

    @property
    def numbers(self) -> list[int]:
        """Of the events that came whole."""
        lines = self.body[: self.body.rfind(b"\n\n") + 1].split(b"\n")
        return [int(line[4:]) for line in lines if line.startswith(b"id: ")]

    @property
    def stream(self) -> bytes:
        """The body without its heartbeats."""
        return self.body.replace(HEARTBEAT, b"")

    async def done(self) -> Call:
        async with asyncio.timeout(PATIENCE):
            await asyncio.shield(self._task)
        return self

    async def until(self, enough: Callable[[Call], bool]) -> Call:
        async with asyncio.timeout(PATIENCE):
            while not enough(self):
                self._changed.clear()
                await self._changed.wait()
        return self

    async def hang_up(self) -> None:
        """The client goes; returns once the server has noticed."""
        self._left.set()
        for _ in range(5):
            await asyncio.sleep(0)

    async def _run(self, app: App, scope: Scope) -> None:
        asked = False

        async def receive() -> Message:
            nonlocal asked
            if asked:
                await self._left.wait()
                return {"type": "http.disconnect"}
            asked = True
            return {"type": "http.request", "body": self._request, "more_body": False}

        async def send(message: Message) -> None:
            if not self._left.is_set():
                self._take(message)

        try:
            await app(scope, receive, send)
        except StreamCut:
            self.clean = False
        self._changed.set()

    def _take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            status, headers = message["status"], message["headers"]
            assert isinstance(status, int)
            assert isinstance(headers, list)
            self.status = status
            self.headers = {name.decode(): value.decode() for name, value in headers}
        else:
            piece = message["body"]
            assert isinstance(piece, bytes)
            self.body += piece
            self.clean = True if not message.get("more_body", False) else None
        self._changed.set()


def _scope(method: str, path: str, headers: dict[str, str]) -> Scope:
    bare, _, query = path.partition("?")
    named = {"host": "localhost", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return {
        "type": "http",
        "method": method,
        "path": bare,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
    }


def ask(app: App, parameters: Mapping[str, object] | None = None, /, **headers: str) -> Call:
    """A POST of a chat."""
    body = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], **(parameters or {})}
    return Call(app, "POST", "/v1/chat/completions", body, **headers)


def get(app: App, path: str, /, **headers: str) -> Call:
    return Call(app, "GET", path, **headers)
