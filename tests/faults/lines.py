"""A client that keeps every byte: one request on a connection of its own, which it may reset, or read slowly.

On the virtual loop or a real one.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple, cast

from tests.upstreams import LAST_CHUNK

PATIENCE = 900.0
"""Seconds for one answer, on whichever clock; it is there so that nothing hangs."""
POST = "POST /v1/chat/completions"

Place = Callable[[bytes], int | None]
"""How much of these bytes a client takes before it resets its connection; None: it reads on."""


def nowhere(raw: bytes) -> int | None:
    return None


def at(offset: int) -> Place:
    """At this byte of the answer, head included."""
    return lambda raw: offset if len(raw) >= offset else None


def before(mark: bytes) -> Place:
    """Where this begins."""
    return lambda raw: raw.index(mark) if mark in raw else None


class Got(NamedTuple):
    """What a client has of an answer. `events`: the whole numbered ones as they were sent; `times`: when each came."""

    raw: bytes
    left: bool
    status: int
    headers: Mapping[str, str]
    body: bytes
    clean: bool
    """It ended as HTTP says."""
    events: list[bytes]
    times: list[float]

    @property
    def last(self) -> int:
        """The number of the last event; 0: none came."""
        return int(self.events[-1].partition(b"\n")[0][4:]) if self.events else 0

    @property
    def place(self) -> str:
        """Where the answer can be had again; "" where the client does not know."""
        return self.headers.get("location", "")

    @property
    def done(self) -> bool:
        return bool(self.events) and self.events[-1].endswith(b"data: [DONE]\n\n")

    @property
    def json(self) -> dict[str, object]:
        return cast("dict[str, object]", json.loads(self.body))


class Line(asyncio.Protocol):
    """One connection. `stalls`: after so many bytes it takes nothing for so many seconds."""

    def __init__(self, place: Place = nowhere, stalls: tuple[int, float] | None = None) -> None:
        self.raw = b""
        self.left = False
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.came: list[tuple[int, float]] = []
        """How many bytes there were, and when."""
        self.place = place
        self.stalls = stalls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.over.done():
            return
        self.raw += data
        loop = asyncio.get_running_loop()
        self.came.append((len(self.raw), loop.time()))
        place = self.place(self.raw)
        if place is not None:
            self.raw = self.raw[:place]
            self.reset()
        elif self.stalls and len(self.raw) >= self.stalls[0]:
            self.transport.pause_reading()
            loop.call_later(self.stalls[1], self._read_on)
            self.stalls = None
        elif data.endswith(self._end()) and whole(self.raw):
            self._over()

    def connection_lost(self, exc: Exception | None) -> None:
        self._over()

    def reset(self) -> None:
        """The client is gone: RST."""
        self.left = True
        raw: socket.socket = self.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()
        self._over()

    def _end(self) -> bytes:
        """What the last bytes of a stream are; of an answer that has a length, nothing is known."""
        return LAST_CHUNK if self.raw.find(b"transfer-encoding: chunked", 0, 2000) > 0 else b""

    def _read_on(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def _over(self) -> None:
        if not self.over.done():
            self.over.set_result(None)


async def ask(
    port: int | Line,
    line: str,
    body: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
    place: Place = nowhere,
    stalls: tuple[int, float] | None = None,
) -> Got:
    """One request, and all that its client gets. In place of the port a connection that stands already."""
    client = port if isinstance(port, Line) else await connected(port)
    client.place, client.stalls = place, stalls
    client.transport.write(request(line, body, headers or {}))
    if place(b"") is not None:  # before the first byte; the request is on its way
        await asyncio.sleep(0.02)
        client.reset()
    async with asyncio.timeout(PATIENCE):
        await client.over
    client.transport.close()
    return read(client.raw, client.left, client.came)


async def connected(port: int) -> Line:
    _, line = await asyncio.get_running_loop().create_connection(Line, "127.0.0.1", port)
    return line


def request(line: str, body: Mapping[str, object] | None, headers: Mapping[str, str]) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    named = {"host": "localhost", "content-type": "application/json", "content-length": str(len(content)), **headers}
    lines = [f"{line} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items()), "", ""]
    return "\r\n".join(lines).encode() + content


def chat(prompt: str = "Tell.", **parameters: object) -> dict[str, object]:
    return {"model": "it", "messages": [{"role": "user", "content": prompt}], **parameters}


def read(raw: bytes, left: bool, came: list[tuple[int, float]]) -> Got:
    status, headers, rest = _head(raw)
    body, clean = _body(headers, rest) if status else (b"", False)
    events = _events(body) if headers.get("content-type", "").startswith("text/event-stream") else []
    ends = _ends(raw, events)
    times = [next(time for size, time in came if size >= end) for end in ends]
    return Got(raw, left, status, headers, body, clean and not left, events, times)


def whole(raw: bytes) -> bool:
    status, headers, rest = _head(raw)
    if "content-length" in headers:
        return len(rest) >= int(headers["content-length"])
    return status == 204 or (bool(status) and rest.endswith(b"\r\n" + LAST_CHUNK))


def _head(raw: bytes) -> tuple[int, dict[str, str], bytes]:
    head, blank, rest = raw.partition(b"\r\n\r\n")
    if not blank:
        return 0, {}, b""
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(status.split(" ")[1]), headers, rest


def _body(headers: Mapping[str, str], rest: bytes) -> tuple[bytes, bool]:
    """As far as it came, and whether that is all."""
    if headers.get("transfer-encoding") != "chunked":
        return rest, len(rest) == int(headers.get("content-length", "0"))
    body = b""
    while rest:
        size, line, rest = rest.partition(b"\r\n")
        if not line:
            break
        if int(size, 16) == 0:
            return body, rest == b"\r\n"
        body += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]
    return body, False


def _events(body: bytes) -> list[bytes]:
    """The whole numbered ones, without comments."""
    every = (b"\n".join(line for line in event.split(b"\n") if line[:1] != b":") for event in body.split(b"\n\n")[:-1])
    return [event + b"\n\n" for event in every if event.startswith(b"id: ")]


def _ends(raw: bytes, events: list[bytes]) -> list[int]:
    """Where each event ends in what came. Events are never split between HTTP chunks by this server."""
    ends, place = [], 0
    for event in events:
        found = raw.find(event, place)
        place = found + len(event) if found >= 0 else len(raw)
        ends.append(place)
    return ends


EVENTS = {"accept": "text/event-stream"}


async def resumed(port: int | Line, got: Got, headers: Mapping[str, str] | None = None) -> Got:
    """The events behind the last one that this client has."""
    named = {**EVENTS, **(headers or {}), **({"last-event-id": str(got.last)} if got.events else {})}
    return await ask(port, f"GET {got.place}", headers=named)
