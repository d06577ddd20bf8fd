"""Plays exchanges against an endpoint and keeps what came back: the only part of the checker that does I/O.

It speaks HTTP/1.1 itself, because a client library hides what is to be judged: the borders of chunks, their time,
and whether the last chunk came.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from urllib.parse import urlsplit

import h11
import msgspec

from riverrun.conformance.capture import Capture, Ended
from riverrun.conformance.exchanges import EXCHANGES, Exchange
from riverrun.conformance.judge import chosen, judge_all
from riverrun.conformance.rules import Finding, Rule

READ = 65536  # bytes a read
OPEN_AFTER_DONE = 3.0  # seconds to wait for the end of a body that said [DONE]
STILL_THERE = 20.0  # seconds to wait for the first content of a stream that will be abandoned
REFUSALS = (401, 403, 404)

Progress = Callable[[int, int, str], None]


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where to send: `url` up to and with /v1; `socket` is a Unix socket's path; `timeout`: seconds an exchange."""

    url: str
    model: str
    key: str = ""
    socket: str = ""
    timeout: float = 120.0
    headers: tuple[tuple[str, str], ...] = ()


class Unreachable(Exception):
    """The endpoint cannot be judged; the message is one line for the person who asked."""


async def examine(
    endpoint: Endpoint, only: Iterable[str] = (), progress: Progress = lambda *_: None
) -> tuple[list[Capture], list[Finding]]:
    """Play what these rules need and judge it. Raises Unreachable, and ValueError for an unknown rule."""
    names = list(only)
    captures = await probe(endpoint, wanted(chosen(names)), progress)
    return captures, judge_all(captures, names)


async def probe(endpoint: Endpoint, exchanges: Sequence[Exchange], progress: Progress) -> list[Capture]:
    """Play the exchanges one after the other; the abandoned ones together. Raises Unreachable."""
    captures: list[Capture] = []
    abandoned = [exchange for exchange in exchanges if exchange.leave]
    line: Line | None = None
    try:
        for number, exchange in enumerate(exchanges):
            progress(number, len(exchanges), exchange.name)
            if exchange.leave:
                if exchange is abandoned[0]:
                    captures += await asyncio.gather(*(alone(endpoint, one) for one in abandoned))
                continue
            if line is None or not exchange.same_connection:
                line = await reopened(line, endpoint)
            captures.append(await line.play(exchange))
            if number == 0:
                check_admission(captures[0], endpoint.key)
    finally:
        if line is not None:
            await line.close()
    progress(len(exchanges), len(exchanges), "")
    return captures


def wanted(rules: Iterable[Rule]) -> list[Exchange]:
    """The exchanges that exercise these rules; the first one always, to see whether the endpoint answers."""
    chosen = {one.id for one in rules} | {one.id[0] for one in rules}
    return [one for number, one in enumerate(EXCHANGES) if not number or chosen & set(one.rules.split(","))]


def check_admission(first: Capture, key: str) -> None:
    """Raises Unreachable when the very first exchange shows that the address, the key or the model is wrong."""
    if first.status == 0:
        raise Unreachable(f"something listens there and gave no HTTP answer ({first.ended}); is it an HTTP server?")
    if first.status in REFUSALS:
        said = " ".join(first.body.decode("utf-8", "replace").split())
        said = (said.replace(key, "***") if key else said)[:300]
        hint = "check the URL (it ends in /v1), --key and --model"
        raise Unreachable(f"the endpoint refuses the first request with {first.status}; {hint}: {said}")


async def reopened(line: Line | None, endpoint: Endpoint) -> Line:
    """A new connection in place of an old one."""
    if line is not None:
        await line.close()
    return await connect(endpoint)


async def alone(endpoint: Endpoint, exchange: Exchange) -> Capture:
    """One exchange on a connection of its own."""
    line = await connect(endpoint)
    try:
        return await line.play(exchange)
    finally:
        await line.close()


async def connect(endpoint: Endpoint) -> Line:
    """Open a connection. Raises Unreachable."""
    address = urlsplit(endpoint.url)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise Unreachable(f"{endpoint.url!r} is not an http:// or https:// URL")
    tls = ssl.create_default_context() if address.scheme == "https" else None
    port = address.port or (443 if tls else 80)
    try:
        async with asyncio.timeout(10):
            if endpoint.socket:
                reader, writer = await asyncio.open_unix_connection(endpoint.socket)
            else:
                reader, writer = await asyncio.open_connection(address.hostname, port, ssl=tls)
    except (OSError, TimeoutError) as error:
        raise Unreachable(f"cannot connect to {endpoint.url}: {error or 'no answer in 10 s'}") from error
    return Line(endpoint, reader, writer)


class Line:
    """One HTTP/1.1 connection."""

    def __init__(self, endpoint: Endpoint, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.endpoint = endpoint
        self.reader = reader
        self.writer = writer
        self.http = h11.Connection(h11.CLIENT)
        self.clock = asyncio.get_running_loop().time

    async def close(self) -> None:
        """Hang up at once, whatever is still on its way."""
        self.writer.transport.abort()
        with suppress(OSError):
            await self.writer.wait_closed()

    async def play(self, exchange: Exchange) -> Capture:
        """Send one request and keep what comes back. Network failures are part of the capture."""
        body = encoded(exchange, self.endpoint.model)
        answer = Answer(exchange.leave)
        patience = STILL_THERE if exchange.leave else self.endpoint.timeout
        started = self.clock()
        try:
            async with asyncio.timeout(patience) as deadline:
                if self.http.our_state is h11.DONE:
                    self.http.start_next_cycle()
                await self._send(exchange, body)
                started = self.clock()
                await self._receive(answer, started, deadline)
        except TimeoutError:
            answer.ended = "timeout"
        except (OSError, h11.ProtocolError):
            answer.ended = "cut"
        return Capture(
            request=body,
            status=answer.status,
            headers=tuple(answer.headers),
            blocks=tuple(answer.blocks),
            ended=answer.ended,
            ended_at=self.clock() - started,
            exchange=exchange.name,
        )

    async def _send(self, exchange: Exchange, body: bytes) -> None:
        address = urlsplit(self.endpoint.url)
        headers = {
            "host": address.netloc.rpartition("@")[2],
            "content-type": "application/json",
            "content-length": str(len(body)),
            "accept": "application/json",  # what the SDKs send, for streams too
            "user-agent": "riverrun-check",
        }
        if self.endpoint.key:
            headers["authorization"] = f"Bearer {self.endpoint.key}"
        target = address.path.rstrip("/") + exchange.path
        headers.update(self.endpoint.headers)
        request = h11.Request(method=exchange.method, target=target, headers=list(headers.items()))
        for event in (request, h11.Data(data=body), h11.EndOfMessage()):
            self.writer.write(self.http.send(event) or b"")
        await self.writer.drain()

    async def _receive(self, answer: Answer, started: float, deadline: asyncio.Timeout) -> None:
        while not answer.over:
            event = self.http.next_event()
            if event is h11.NEED_DATA:
                self.http.receive_data(await self.reader.read(READ))
            elif isinstance(event, h11.ConnectionClosed):
                answer.over, answer.ended = True, "cut"
            else:
                answer.take(event, self.clock() - started)
                if answer.said_done:
                    deadline.reschedule(min(deadline.when() or 0.0, self.clock() + OPEN_AFTER_DONE))


class Answer:
    """What has come back so far."""

    def __init__(self, leave: bool) -> None:
        self.leave = leave
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.blocks: list[tuple[float, bytes]] = []
        self.ended: Ended = "cut"
        self.over = False

    @property
    def said_done(self) -> bool:
        """Whether the stream said that it is over, in the block that came last."""
        return bool(self.blocks) and b"[DONE]" in self.blocks[-1][1]

    def take(self, event: object, time: float) -> None:
        """One event of HTTP, `time` seconds after the request."""
        if isinstance(event, h11.Response):
            self.status = event.status_code
            self.headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers]
        elif isinstance(event, h11.Data):
            self.blocks.append((time, bytes(event.data)))
            if self.leave and b'"content":"' in event.data.replace(b'"content": "', b'"content":"'):
                self.over, self.ended = True, "left"
        elif isinstance(event, h11.EndOfMessage):
            self.over, self.ended = True, "complete"


def encoded(exchange: Exchange, model: str) -> bytes:
    """The body of a request."""
    if isinstance(exchange.body, bytes):
        return exchange.body
    body = {"model": model, **exchange.body} if exchange.keep_model else exchange.body
    return json.dumps(body, ensure_ascii=False).encode()
