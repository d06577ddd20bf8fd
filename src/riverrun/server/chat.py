"""POST /v1/chat/completions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec

from riverrun.config import ServerConfig
from riverrun.failures import Failure, bad_request
from riverrun.runs.runs import Begun, Grant, Runs
from riverrun.server.events import HEADERS, EventStream, Waiter
from riverrun.server.exchange import Exchange
from riverrun.server.intent import cursor, intent
from riverrun.server.stored import echoed
from riverrun.server.stream import Header
from riverrun.tapes.contract import Committed, Tape
from riverrun.wire.completion import Completion
from riverrun.wire.jsonvalue import JsonObject
from riverrun.wire.limits import Limits
from riverrun.wire.request import parse_chat

Shown = Callable[[Tape, Completion], JsonObject]

REPLAYED = (b"idempotent-replayed", b"true")

STORING = ("store", "metadata")
"""Parameters of a completion that is stored here, whatever its target makes of them."""

LISTED = 16
"""Dropped parameters that are named; the API has 37 in all, so more are somebody's mistake."""


class Chat:
    """The surface's settings, and the runs that answer."""

    def __init__(self, runs: Runs, config: ServerConfig) -> None:
        self._runs = runs
        self._config = config
        self._limits = Limits(body=config.body_limit, n=config.max_n, strict=config.strict)

    async def __call__(self, exchange: Exchange, grant: Grant) -> None:
        begun, after, stream = await self._begun(exchange, grant)
        if stream:
            await self.stream(exchange, begun.tape, after)
            return
        try:
            await self.whole(exchange, begun.tape, echoed if begun.tape.head.store else None)
        except Failure as failure:
            if begun.replayed:
                failure.retry = False  # the same key brings the same failure
            raise

    async def _begun(self, exchange: Exchange, grant: Grant) -> tuple[Begun, int | None, bool]:
        """The answer, the event after which it is wanted, and whether as a stream. Apart from what follows it, so that
        nothing else of the question is kept while the answer runs."""
        body = await exchange.body(self._limits.body)
        chat = parse_chat(body, self._limits)
        stream = bool(chat.request.stream)
        said, after = intent(exchange.headers), cursor(exchange.headers)
        if after is not None and said.key is None:
            raise bad_request(
                "A POST resumes by its Idempotency-Key, and this one has none. Send the key of the first request, or "
                "GET the address in its Location header with Last-Event-ID.",
                "Last-Event-ID",
            )
        if after and stream:
            said = msgspec.structs.replace(said, resumes=True)
        begun = await self._runs.begin(chat, grant, body, said)
        exchange.id, exchange.outcome = begun.tape.head.id, begun.outcome
        if begun.replayed:
            exchange.extra.append(REPLAYED)
        if begun.outcome is None:
            exchange.way = "resumed" if after else "replayed" if begun.replayed else "joined"
        return begun, after, stream

    async def whole(self, exchange: Exchange, tape: Tape, shown: Shown | None = None) -> None:
        """The completion, once it is complete; `shown` as it is to be seen."""
        exchange.forget()
        waiter = Waiter(tape, exchange.stream())
        try:
            if self._config.strict:  # what can't be carried is refused at once
                self._carried(_kept(tape, await tape.committed()))
            await waiter.over
            if waiter.gone and tape.ending is None:  # it may run on, for somebody else
                return
            completion = await tape.ended()
        finally:
            waiter.leave()
        facts = _facts(_kept(tape, tape.facts)) if tape.facts is not None else []
        await exchange.json(shown(tape, completion) if shown else completion, [location(tape), *facts])

    def stream(self, exchange: Exchange, tape: Tape, after: int | None) -> Awaitable[None]:
        """Answers with the events after this one, or all of them. Raises Failure where there is no such event."""
        if after is not None and after > tape.last:
            raise bad_request(
                f"There is no event {after} in this stream yet: its last one is {tape.last}.", "Last-Event-ID"
            )
        if tape.ending is not None and after == tape.last:
            return exchange.answer(204, b"", [])  # the only answer that makes an EventSource stop
        if exchange.method == "HEAD":
            return exchange.answer(200, None, [*HEADERS, location(tape)])
        return self._follow(exchange, tape, after or 0)

    async def _follow(self, exchange: Exchange, tape: Tape, after: int) -> None:
        """The 200 waits for content, so that a failure before it has its true status; but not for ever (*held*)."""
        exchange.forget()
        events = EventStream(tape, exchange.stream(), after=after, heartbeat=self._config.heartbeat)
        try:
            committed = tape.facts
            if committed is None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._config.commit_after):
                        committed = await tape.committed()
            if committed is not None:
                committed = self._carried(_kept(tape, committed))
            request_id = (b"x-request-id", exchange.id.encode("ascii"))
            exchange.status = 200
            headers = [request_id, location(tape), *exchange.extra, *_facts(committed)]
            events.open(headers, held=committed is None)
            await events.closed()
        finally:
            events.leave()

    def _carried(self, committed: Committed) -> Committed:
        """Raises Failure for what could not be carried, where the server is to be strict about it."""
        if committed.dropped and self._config.strict:
            name = committed.dropped[0]
            raise bad_request(
                f"Unsupported parameter: '{name}' can't be carried to {committed.target}. Leave it out, or let the "
                "server drop it (`strict = false`).",
                name,
                "unsupported_parameter",
            )
        return committed


def _kept(tape: Tape, committed: Committed) -> Committed:
    """What a target could not carry, without what is done here."""
    if not (tape.head.store and committed.dropped):
        return committed
    return Committed(committed.target, tuple(name for name in committed.dropped if name not in STORING))


def location(tape: Tape) -> Header:
    """Where the answer can be had again."""
    return (b"location", b"/v1/chat/completions/" + tape.head.id.encode("ascii"))


def _facts(committed: Committed | None) -> list[Header]:
    """Who answers, and what could not be carried, where it is known already."""
    if committed is None:
        return []
    facts = [(b"x-riverrun-target", _shown(committed.target))]
    if committed.dropped:
        facts.append((b"x-riverrun-dropped", _listed(committed.dropped)))
    return facts


def _shown(name: str) -> bytes:
    """A name as it may stand in a header: short, and without what a header can't hold (SEC9)."""
    if name.isascii() and name.isprintable():
        return name[:128].encode("ascii")
    return "".join(letter if letter.isprintable() else "?" for letter in name[:128]).encode("ascii", "replace")


def _listed(names: tuple[str, ...]) -> bytes:
    """Names that a client made up, and as many as it likes: the first ones, and how many more."""
    shown = [_shown(name) for name in names[:LISTED]]
    more = len(names) - LISTED
    return b", ".join([*shown, b"and %d more" % more] if more > 0 else shown)
