"""Clients of a story, each of which comes back when its connection breaks: by plain requests, and by stock SDKs.

What came of a story is compared with its true text, and the bytes that came with those that its tape holds.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

import openai

from tests.faults.rows import Outcome
from tests.faults.storyteller import question, story

MODEL = "it"
PATIENCE = 60.0
"""Seconds without a new word, after which a client gives up."""
SOON = 20.0
"""Seconds in which what must come to pass has."""
PAUSE = 0.1
"""Seconds before a client comes back."""
KEY = 40
"""Characters of a story's name that tell it from others."""
EVENT = re.compile(rb"id: (\d+)\ndata: (.*)\n\n", re.DOTALL)

Port = Callable[[], int]
"""Which port to ask now; the next one, where there are several."""


@dataclass
class Heard:
    """What a client has of one story. `events` are its numbered events as they came, for plain clients.

    `error` is the code of an error that ended it; `broke` those that said to come back. `trouble` is what no server
    may do to a client. `served` counts connections that brought the stream. `last` is when the newest words came.
    """

    name: str
    count: int
    id: str = ""
    text: str = ""
    done: bool = False
    error: str = ""
    events: list[bytes] = field(default_factory=list)
    broke: list[str] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    connections: int = 0
    served: int = 0
    words: int = 0
    gaps: list[float] = field(default_factory=list)
    last: float = 0.0
    port: int = 0

    @property
    def true(self) -> str:
        return story(self.name, self.count)

    @property
    def over(self) -> bool:
        return self.done or bool(self.error)

    def said(self, words: str) -> None:
        now = time.monotonic()
        if words:
            if self.text:
                self.gaps.append(now - self.last)
            self.last = now
            self.words += 1
            self.text += words

    def outcome(self, replayed: bytes | None = None, note: str = "") -> Outcome:
        """`replayed`: the same stream read again from its start, by somebody else."""
        wrong = 0 if self.true.startswith(self.text) else len(self.text.encode())
        mine = b"".join(self.events)
        if replayed is not None and mine and replayed[: len(mine)] != mine:
            wrong += abs(len(mine) - len(replayed)) or 1
        if replayed is not None and not mine and not spoken(replayed).startswith(self.text):
            wrong += 1
        whole = self.done and self.text == self.true
        broken = "; ".join(self.trouble)
        return Outcome(
            whole, bool(self.error), wrong, self.done and not whole, max(self.gaps, default=0.0), broken, note
        )


def spoken(stream: bytes) -> str:
    """The text of a stream's events."""
    found = (json.loads(data) for data in re.findall(rb"^data: (\{.*\})$", stream, re.MULTILINE))
    choices = [event["choices"][0] for event in found if event.get("choices")]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


Strike = Callable[[list[Heard]], Awaitable[None]]
"""What happens to the server in the middle of some stories."""


class Reader:
    """A plain HTTP client. It knows the number of its last event, and nothing else."""

    def __init__(self, name: str, count: int, port: Port, silence: float = PATIENCE) -> None:
        """`silence`: seconds without a byte, after which it takes the connection for dead."""
        self.heard = Heard(name, count)
        self._port = port
        self._silence = silence
        self._held = b""

    async def read(self) -> Heard:
        """Until the end, however often the connection breaks."""
        self.heard.last = time.monotonic()
        while not self.heard.over:
            with suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
                await self.once()
            if not self.heard.over:
                if time.monotonic() - self.heard.last > PATIENCE:
                    self.heard.trouble.append(f"no word for {PATIENCE:g} s")
                    break
                await asyncio.sleep(PAUSE)
        return self.heard

    async def once(self) -> None:
        """One connection, to its end."""
        self._held = b""
        port = self._port()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        self.heard.connections += 1
        self.heard.port = int(writer.get_extra_info("sockname")[1])
        try:
            writer.write(self.request())
            head = await self._soon(reader.readuntil(b"\r\n\r\n"))
            status = int(head.split(b" ", 2)[1])
            if status == 200:
                self.heard.id = head.lower().partition(b"x-request-id: ")[2].partition(b"\r")[0].decode()
                self.heard.served += 1
                await self._stream(reader)
            elif status == 204 and self.heard.broke:  # it was told why when it was sent away; there is no more
                self.heard.error = self.heard.broke[-1]
            elif status == 204:
                self.heard.trouble.append("204 before the end")
                self.heard.error = "204"
            elif status not in (429, 502, 503, 504):
                self.heard.error = f"HTTP {status}"
        finally:
            writer.transport.abort()

    def request(self) -> bytes:
        heard = self.heard
        if heard.id:
            lines = [f"GET /v1/chat/completions/{heard.id} HTTP/1.1", "accept: text/event-stream"]
            lines += [f"last-event-id: {len(heard.events)}"] if heard.events else []
            body = b""
        else:
            lines = ["POST /v1/chat/completions HTTP/1.1", f"idempotency-key: {heard.name[:KEY]}"]
            lines += ["content-type: application/json"]
            content = {"model": MODEL, "stream": True, "messages": question(heard.name, heard.count)}
            body = json.dumps(content).encode()
        return "\r\n".join([*lines, "host: localhost", f"content-length: {len(body)}", "", ""]).encode() + body

    async def _stream(self, reader: asyncio.StreamReader) -> None:
        while size := int(await self._soon(reader.readuntil(b"\r\n")), 16):
            self._feed((await self._soon(reader.readexactly(size + 2)))[:-2])
            if self.heard.over:
                return
        if not self.heard.over:
            self.heard.trouble.append("a clean end without an ending")

    async def _soon(self, read: Awaitable[bytes]) -> bytes:
        async with asyncio.timeout(self._silence):
            return await read

    def _feed(self, data: bytes) -> None:
        *events, self._held = (self._held + data).split(b"\n\n")
        for event in events:
            while event.startswith(b":"):
                event = event.partition(b"\n")[2]
            self._event(event + b"\n\n")

    def _event(self, event: bytes) -> None:
        match = EVENT.fullmatch(event)
        if match is None:
            data = json.loads(event.removeprefix(b"data: "))
            self.heard.broke.append(data["error"]["code"])
            return
        if int(match[1]) != len(self.heard.events) + 1:
            self.heard.trouble.append(f"event {match[1].decode()} after {len(self.heard.events)}")
        self.heard.events.append(event)
        if match[2] == b"[DONE]":
            self.heard.done = True
            return
        data = json.loads(match[2])
        if "error" in data:
            self.heard.error = data["error"]["code"]
        elif data["choices"]:
            self.heard.said(data["choices"][0]["delta"].get("content") or "")


async def sdk_read(client: openai.AsyncOpenAI, heard: Heard) -> Heard:
    """The same by a stock SDK; whether it comes back is its HTTP client's business."""
    heard.last = time.monotonic()
    finish = None
    try:
        stream = await client.chat.completions.create(
            model=MODEL,
            messages=question(heard.name, heard.count),  # type: ignore[arg-type]  # plain dicts will do
            stream=True,
            timeout=PATIENCE,
        )
        assert isinstance(stream, openai.AsyncStream)
        async for chunk in stream:
            heard.id = chunk.id
            if chunk.choices:
                finish = chunk.choices[0].finish_reason or finish
                heard.said(chunk.choices[0].delta.content or "")
        heard.done = finish is not None
        if finish is None:
            heard.trouble.append("the SDK saw an end without a finish_reason")
    except openai.APIError as failure:
        heard.error = str(failure.code or type(failure).__name__)
    return heard


async def together(
    client: openai.AsyncOpenAI, plain: list[Reader], others: list[Heard], moment: int, strike: Strike
) -> list[Heard]:
    """Stories beside each other, `others` by the SDK. `strike` is called when the first has come to word `moment` and
    all have begun, and is given them all."""
    every = [reader.heard for reader in plain] + others
    async with asyncio.TaskGroup() as tasks:
        for reader in plain:
            tasks.create_task(reader.read())
        for heard in others:
            tasks.create_task(sdk_read(client, heard))
        await until(lambda: every[0].over or (every[0].words >= moment and all(heard.words for heard in every)))
        await strike(every)
    return every


async def until(true: Callable[[], bool], patience: float = SOON) -> None:
    """Waits for other processes, which can't be waited on."""
    end = time.monotonic() + patience
    while not true():
        assert time.monotonic() < end, "it did not come to pass"
        await asyncio.sleep(0.01)


def taking_turns(*ports: int) -> Port:
    """One after the other, from the first."""
    asked = 0

    def port() -> int:
        nonlocal asked
        asked += 1
        return ports[(asked - 1) % len(ports)]

    return port


async def replayed(port: int, heard: Heard) -> bytes | None:
    """The stream from its start, as one connection brings it. None: the client never had an id."""
    if not heard.id:
        return None
    reader = Reader(heard.name, heard.count, lambda: port)
    reader.heard.id = heard.id
    async with asyncio.timeout(PATIENCE):
        while not reader.heard.served and not reader.heard.over:
            with suppress(OSError, asyncio.IncompleteReadError):
                await reader.once()
            await asyncio.sleep(0)
    return b"".join(reader.heard.events)


async def all_replayed(port: int, every: Iterable[Heard]) -> list[Outcome]:
    return [heard.outcome(await replayed(port, heard)) for heard in every]
