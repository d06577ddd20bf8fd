"""What the backend tests share: an ask, a small language to be answered in, and a sink that remembers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping

import msgspec
import pytest
import uvloop

from riverrun.backends.contract import Backend
from riverrun.backends.pool import KEEPING, Keeping
from riverrun.backends.upstream import Upstream
from riverrun.dialects.contract import Framing, Outgoing
from riverrun.failures import Cause, Failure
from riverrun.routing.target import Deadlines, Target
from riverrun.stream.ask import Ask
from riverrun.stream.deltas import Delta, Finish, Text
from riverrun.stream.flow import Call, Ending, Refused
from riverrun.wire.request import parse_chat
from riverrun.wire.sse import Event
from tests.upstreams import LAST_CHUNK, PATIENCE, chunk, head, sse

ASK = Ask(parse_chat(b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'), "chatcmpl-1", 1, "me")

EVENTS = sse(b"Hello", b" wor", "łd".encode()) + b": ping\n\n" + sse(b"[END]")
CHUNKED = head() + chunk(EVENTS[:17]) + chunk(EVENTS[17:]) + LAST_CHUNK
LENGTH = head(framing=f"content-length: {len(EVENTS)}") + EVENTS
TO_EOF = head(framing="") + EVENTS
SAID = "Hello worłd"
UNENDED = sse(b"Hello")  # a stream that never says [END]

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
both_loops = pytest.mark.parametrize("loop", LOOPS)


def run(test: Coroutine[None, None, None], loop: str = "asyncio") -> None:
    """Run a test on one of the loops; whatever the loop would only have logged fails it."""
    complaints: list[Mapping[str, object]] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        async with asyncio.timeout(PATIENCE * 3):
            await test

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(watched())
    assert not complaints


def target(base_url: str, deadlines: Deadlines = Deadlines(), key: str | None = None) -> Target:  # noqa: B008 - frozen
    return Target(
        name="shown", model="theirs", base_url=base_url, row="plain", dialect="plain", deadlines=deadlines, key=key
    )


class PlainReader:
    """`data: word` is text, `data: [END]` the end, `data: !` an error, `data: ?` a bug of ours.

    After `data: ...` the end of the body is the end of the answer; a whole answer of "..." has no end.
    """

    def __init__(self) -> None:
        self.done = False
        self.implied = False

    def read(self, event: Event) -> list[Delta]:
        if event.data == b"!":
            raise Failure(Cause.UPSTREAM_ERROR, "told in the stream")
        if event.data == b"?":
            raise RuntimeError("a bug")
        if event.data == b"[END]":
            self.done = True
            return [Finish(0, "stop")]
        if event.data == b"...":
            self.implied = True
            return []
        return [Text(0, msgspec.json.encode(event.data.decode()))]

    def whole(self, body: bytes) -> list[Delta]:
        try:
            word = msgspec.json.decode(body, type=str)
        except msgspec.DecodeError as error:
            raise Failure(Cause.UPSTREAM_MALFORMED, "not JSON") from error
        self.done = word != "..."
        return [Text(0, msgspec.json.encode(word)), Finish(0, "stop")]

    def finish(self) -> list[Delta]:
        if not self.implied:
            raise Failure(Cause.UPSTREAM_INTERRUPTED, "no [END]")
        return [Finish(0, "stop")]


class Plain:
    """The dialect of PlainReader. What it makes of an HTTP error shows all that it was given."""

    framing: Framing = "sse"

    def __init__(self, outgoing: Outgoing = Outgoing("/say", b'{"say":1}')) -> None:  # noqa: B008 - frozen
        self.outgoing = outgoing

    def encode(self, ask: Ask, target: Target) -> Outgoing:
        return self.outgoing

    def reader(self, ask: Ask, target: Target) -> PlainReader:
        return PlainReader()

    def failure(self, status: int, headers: Mapping[str, str], body: bytes, ask: Ask, target: Target) -> Failure:
        wait = headers.get("retry-after")
        return Failure(Cause.UPSTREAM_BUSY, body.decode(), status=status, retry_after=float(wait) if wait else None)


class Ears:
    """A Sink that remembers, and checks the contract: nothing after the end, and one end."""

    def __init__(self) -> None:
        self.pushes: list[list[Delta]] = []
        self.endings: list[Ending] = []
        self.over = asyncio.Event()
        self.heard = asyncio.Event()
        self.on_push: Callable[[], None] = lambda: None

    def push(self, deltas: list[Delta]) -> None:
        assert not self.endings, "a push after the end"
        self.pushes.append(deltas)
        if deltas:
            self.heard.set()
        self.on_push()

    def end(self, ending: Ending) -> None:
        self.endings.append(ending)
        self.over.set()

    async def ending(self) -> Ending:
        async with asyncio.timeout(PATIENCE):
            await self.over.wait()
        assert len(self.endings) == 1
        return self.endings[0]

    async def failure(self) -> Failure:
        ending = await self.ending()
        assert isinstance(ending, Refused)
        return ending.failure

    async def first(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.heard.wait()

    @property
    def text(self) -> str:
        return "".join(
            msgspec.json.decode(each.literal) for push in self.pushes for each in push if isinstance(each, Text)
        )


def ask(backend: Backend, to: Target) -> tuple[Ears, Call]:
    ears = Ears()
    return ears, backend.start(ASK, to, ears, lambda target, dropped: None)


def client(dialect: Plain | None = None, keeping: Keeping = KEEPING) -> Upstream:
    return Upstream({"plain": dialect or Plain()}, keeping)
