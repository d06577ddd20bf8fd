"""The real application, with scripted upstreams behind it and a client before it that keeps every byte.

The same scene runs on the virtual clock with the network in memory, and over TCP with all deadlines scaled down.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from typing import NamedTuple

import msgspec

from riverrun.backends.upstream import Upstream as Client
from riverrun.config import ServerConfig
from riverrun.conformance.capture import Capture
from riverrun.conformance.exchanges import Exchange
from riverrun.conformance.probe import Endpoint, alone
from riverrun.conformance.reading import Object, Reading, items, mapping, text
from riverrun.dialects.openai import OpenAI
from riverrun.dialects.rows import ROWS, derived
from riverrun.failures import Cause
from riverrun.routing.model import Model, Weighted
from riverrun.routing.target import Deadlines, Target
from riverrun.runs.runs import Runs
from riverrun.runs.upstreams import Upstreams
from riverrun.server.app import App, Route
from riverrun.server.chat import Chat
from riverrun.server.guard import Guard
from riverrun.server.host import running
from riverrun.server.limits import HostLimits
from riverrun.server.sockets import Listen
from tests.faults.rows import Outcome
from tests.faults.speech import ANSWER, ARGUMENTS, NAME
from tests.runs.ledgers import Kept, books
from tests.tapes.kept import in_memory
from tests.upstreams import Play, Request, Upstream, serve

PREFILLING = "compatible-prefill"
DIALECT = OpenAI({**ROWS, PREFILLING: derived(ROWS["compatible"], {"prefill": {"*": "prefix"}})})
RETRIES = 1
MODEL = Model("it", (), retries=RETRIES)


class Mending(NamedTuple):
    """How else requests are mended: `hedge_after` in unscaled seconds; the last side is only asked for these causes."""

    hedge_after: float | None = None
    last_for: tuple[Cause, ...] = ()


NOTHING = Mending()


class Moment(NamedTuple):
    """When an upstream is asked: what it is to go on with, and the scale of all times."""

    so_far: str
    scale: float


Answer = Callable[[Moment], Play]


class Side(Upstream):
    """One scripted upstream: its first answer to the first request, and so on, the last one for ever.

    With an `outage` it gives its first answer for so many seconds from the first request, and then the second.
    """

    def __init__(
        self,
        answers: Sequence[Answer],
        scale: float = 1.0,
        outage: float = 0.0,
        facts: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(())
        self.facts = facts or {}
        self._answers = answers
        self._scale = scale
        self._outage = outage
        self.times: list[float] = []
        """When it was asked, in seconds after the first time, unscaled."""
        self._since: float | None = None

    def ask(self, request: Request) -> Play:
        self.requests.append(request)
        now = asyncio.get_running_loop().time()
        self._since = now if self._since is None else self._since
        self.times.append((now - self._since) / self._scale)
        number = int(self.times[-1] >= self._outage) if self._outage else len(self.requests) - 1
        last = json.loads(request.body)["messages"][-1]
        so_far = last["content"] if last["role"] == "assistant" else ""
        play = self._answers[min(number, len(self._answers) - 1)](Moment(so_far, self._scale))
        return Play(tuple(step * self._scale if isinstance(step, float) else step for step in play.steps), play.end)

    def target(self, name: str) -> Target:
        scale = self._scale
        deadlines = Deadlines(5.0, 30.0 * scale, 15.0 * scale, 600.0 * scale)
        row = PREFILLING if self.facts.get("prefill") else "compatible"
        return Target(name, "theirs", self.base_url, row, deadlines=deadlines, same="it", **self.facts)  # type: ignore[arg-type]  # fields of a target


class Seen(NamedTuple):
    """One request: what its client saw, and how often each upstream had been asked when it was over."""

    capture: Capture
    asks: tuple[int, ...]

    @property
    def reading(self) -> Reading:
        return Reading(self.capture)

    @property
    def text(self) -> str:
        """Of the answer, or the arguments of the call."""
        return _said(self.reading)

    @property
    def error(self) -> Object:
        """The error object that the client was told; empty where there was none."""
        reading = self.reading
        where = reading.errors[-1].body if reading.errors else reading.whole
        return mapping(where.get("error"))

    @property
    def looks_finished(self) -> bool:
        """Whether any client could take it for a success: a finish_reason, [DONE], or a clean end of a 200."""
        reading = self.reading
        if self.capture.status != 200:
            return False
        return bool(reading.dones or self.capture.ended != "cut" or any(map(reading.finish, reading.indexes)))

    @property
    def whole(self) -> bool:
        """Everything came, once, and it ended as it should."""
        reading = self.reading
        ended = self.capture.ended == "complete" and not self.error
        finished = bool(reading.dones) and bool(reading.finish(0)) if reading.streamed else True
        return self.capture.status == 200 and ended and finished and self.text in (ANSWER, ARGUMENTS)

    @property
    def false_success(self) -> bool:
        return self.looks_finished and not self.whole

    @property
    def wrong_bytes(self) -> int:
        """Bytes inside what the client has that are not the answer's: lost, doubled or changed. A missing rest that
        the client was told of is not counted."""
        told = self.text.encode()
        true = (ARGUMENTS if self.reading.fragments else ANSWER).encode()
        same = next(
            (at for at, (a, b) in enumerate(zip(told, true, strict=False)) if a != b), min(len(told), len(true))
        )
        missing = len(true) - same if self.looks_finished else 0
        return max(len(told) - same, missing)

    @property
    def outcome(self) -> Outcome:
        """As a row of the table counts it."""
        told = bool(self.error) and not self.whole
        return Outcome(self.whole, told, self.wrong_bytes, self.false_success, self.gap)

    @property
    def gap(self) -> float:
        """The longest time without a new word, in seconds; the time to the first one counts."""
        reading = self.reading
        times = [reading.arrival(step.frame.end - 1) for step in reading.steps if _words(step.delta)]
        return max((b - a for a, b in zip([0.0, *times], times, strict=False)), default=self.capture.ended_at or 0.0)


def _words(delta: Mapping[str, object]) -> bool:
    return bool(delta.get("content") or delta.get("tool_calls"))


def _said(reading: Reading) -> str:
    if reading.fragments:
        pieces = [mapping(each.body.get("function")) for each in reading.fragments]
        names = [text(piece.get("name")) for piece in pieces if piece.get("name")]
        assert names == [NAME], f"the call was opened as {names}"
        return "".join(text(piece.get("arguments")) for piece in pieces)
    if reading.steps:
        return "".join(text(step.delta.get("content")) for step in reading.steps)
    message = mapping(mapping(next(iter(items(reading.whole.get("choices"))), None)).get("message"))
    return text(message.get("content"))


class Scene:
    """A server with one model. `ask` sends one request to it; `ledger` has what each upstream call cost."""

    def __init__(self, url: str, sides: Sequence[Side], ledger: Kept) -> None:
        self.ledger = ledger
        self._endpoint = Endpoint(url=url, model="it", timeout=900.0)
        self._sides = sides

    async def ask(self, **body: object) -> Seen:
        asked = {"messages": [{"role": "user", "content": "Tell."}], **body}
        capture = await alone(self._endpoint, Exchange("", asked))  # type: ignore[arg-type]  # JSON
        return Seen(capture, self.asks)

    @property
    def asks(self) -> tuple[int, ...]:
        """How often each side was asked so far."""
        return tuple(len(side.requests) for side in self._sides)


@asynccontextmanager
async def scene(
    *sides: Side, scale: float = 1.0, seed: int = 1, retries: int = RETRIES, mended: Mending = NOTHING
) -> AsyncIterator[Scene]:
    """The application in the running loop; its targets are the sides, in this order, but for those that mend."""
    ledger = Kept()
    async with AsyncExitStack() as stack:
        for side in sides:
            await stack.enter_async_context(serve(upstream=side))
        targets = [side.target(f"target-{number}") for number, side in enumerate(sides, 1)]
        client = Client({"openai": DIALECT})
        stack.callback(client.close)
        model = Model("it", (), retries=retries)
        if mended.hedge_after is not None:
            model = msgspec.structs.replace(model, hedge_after=mended.hedge_after * scale)
        if mended.last_for:
            *targets, last = targets
            model = msgspec.structs.replace(model, fallbacks=dict.fromkeys(mended.last_for, (last,)))
        url = await stack.enter_async_context(
            application(targets, Upstreams({"": client}), scale=scale, seed=seed, model=model, ledger=ledger)
        )
        yield Scene(url, sides, ledger)


@asynccontextmanager
async def application(
    targets: Sequence[Target],
    upstreams: Upstreams,
    *,
    scale: float = 1.0,
    seed: int = 1,
    model: Model = MODEL,
    ledger: Kept | None = None,
) -> AsyncIterator[str]:
    """The real application and host with one model called `it`, in the running loop: its URL."""
    model = msgspec.structs.replace(model, tiers=tuple((Weighted(target),) for target in targets))
    random = Random(seed)
    runs = Runs(lambda _: model, upstreams, random, lambda: 1694268190.0, in_memory(), books(ledger))
    config = ServerConfig(commit_after=10.0 * scale, heartbeat=10.0 * scale)
    routes = {"/v1/chat/completions": Route({"POST": Chat(runs, config)})}
    app = App(routes, Guard(loopback=True), random, _life, lambda: None, runs.interrupt)
    async with running(app, Listen(port=0), HostLimits(linger=0.2)) as address:
        yield f"http://127.0.0.1:{address.port}/v1"
        await runs.idle()


@asynccontextmanager
async def _life() -> AsyncIterator[None]:
    yield
