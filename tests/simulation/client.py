"""A client that keeps every byte: it asks one thing on a connection of its own, and may leave, stall or be cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal, NamedTuple, cast

import msgspec

from riverrun.conformance.capture import Capture
from tests.faults.memory_net import Transport
from tests.simulation.plan import Leaving

PATIENCE = 40.0
"""Seconds after which a client whose line is dead notices."""

Ended = Literal["clean", "cut", "left", "dead", "refused"]


class Seen(msgspec.Struct, eq=False):
    """One request, and what its client saw of the answer. `after`: which events it asked for.

    `asked` is the prompt whose answer it wants; `tenant` the one that it is.
    """

    name: str
    tenant: str
    asked: str
    line: str
    """Method and path."""
    request: bytes
    after: int
    at: float
    until: float = 0.0
    ended: Ended = "refused"
    status: int = 0
    headers: dict[str, str] = {}
    body: bytes = b""
    events: list[tuple[int, bytes]] = []
    """The numbered ones, as they were sent, with their blank lines."""

    @property
    def id(self) -> str:
        """The completion's, where the answer tells it."""
        place = self.headers.get("location", "")
        told = place.rpartition("/")[2] or self.headers.get("x-request-id", "")
        return told if told.startswith("chatcmpl-") else ""

    @property
    def streamed(self) -> bool:
        return self.headers.get("content-type", "").startswith("text/event-stream")

    @property
    def capture(self) -> Capture:
        """As the checker takes it."""
        named = tuple(self.headers.items())
        return Capture(
            request=self.request,
            status=self.status,
            headers=named,
            blocks=((0.0, self.body),),
            ended="complete" if self.ended == "clean" else "cut",
        )


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, leaving: Leaving) -> None:
        self.raw = b""
        self.ended: Ended = "cut"
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._leaving = leaving

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.raw += data
        at = self._leaving.at_byte
        if at is not None and len(self.raw) >= at:
            self.raw = self.raw[:at]
            self.leave("left")

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():
            self.over.set_result(None)

    def leave(self, how: Ended) -> None:
        if not self.over.done():
            self.ended = how
            self.over.set_result(None)
            self.transport.abort()

    async def live(self) -> None:
        """Until the connection ends, whoever ends it."""
        loop, leaving = asyncio.get_running_loop(), self._leaving
        if leaving.slow is not None:
            loop.call_later(leaving.slow, self.transport.pause_reading)
            loop.call_later(leaving.slow + 3.0, self.transport.resume_reading)
        if leaving.dead_after is not None:
            loop.call_later(leaving.dead_after, self._cut_off)
        await self.over

    def _cut_off(self) -> None:
        if not self.over.done():
            self.transport.cut_off()
            asyncio.get_running_loop().call_later(PATIENCE, self.leave, "dead")


async def exchange(
    port: int, seen: Seen, headers: Sequence[tuple[str, str]], leaving: Leaving, live: list[Live]
) -> None:
    """Sends the request and fills in what came of it. While it is under way it stands in `live`."""
    loop = asyncio.get_running_loop()
    try:
        _, client = await loop.create_connection(lambda: Client(leaving), "127.0.0.1", port)
    except ConnectionRefusedError:
        return
    live.append(Live(client, seen))
    lines = [f"{seen.line} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    lines += [f"content-length: {len(seen.request)}"] if seen.request else []
    client.transport.write("\r\n".join([*lines, "", ""]).encode() + seen.request)
    await client.live()
    live.remove(Live(client, seen))
    read(client.raw, seen)
    if seen.ended != "clean":
        seen.ended = client.ended


class Live(NamedTuple):
    """An exchange that is under way."""

    client: Client
    seen: Seen


def read(raw: bytes, seen: Seen) -> None:
    """Fills in what these bytes say."""
    head, blank, rest = raw.partition(b"\r\n\r\n")
    if not blank:
        return
    status, *lines = head.decode("latin-1").split("\r\n")
    seen.status = int(status.split(" ")[1])
    seen.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    if seen.headers.get("transfer-encoding") == "chunked":
        seen.body, whole = _unchunked(rest)
    else:
        seen.body = rest
        whole = len(rest) == int(seen.headers.get("content-length", "0"))
    if whole:
        seen.ended = "clean"
    if seen.streamed:
        seen.events = _events(seen.body)


def _unchunked(data: bytes) -> tuple[bytes, bool]:
    """The body so far, and whether it is whole."""
    body = b""
    while data:
        size, line, data = data.partition(b"\r\n")
        if not line:
            break
        length = int(size, 16)
        if length == 0:
            return body, data == b"\r\n"
        body += data[:length]
        data = data[length + 2 :]
    return body, False


def _events(body: bytes) -> list[tuple[int, bytes]]:
    """The whole numbered events; a heartbeat is a line of its own, and belongs to none."""
    events = []
    for event in body.split(b"\n\n")[:-1]:
        lines = [line for line in event.split(b"\n") if line and not line.startswith(b":")]
        if lines and lines[0].startswith(b"id: "):
            events.append((int(lines[0][4:]), b"\n".join(lines) + b"\n\n"))
    return events
