"""POST /v1/chat/completions."""

from __future__ import annotations

import asyncio

from riverrun.config import ServerConfig
from riverrun.failures import bad_request
from riverrun.runs.runs import Grant, Runs
from riverrun.server.events import EventStream, Waiter
from riverrun.server.exchange import Exchange
from riverrun.server.stream import Header
from riverrun.tapes.contract import Committed, Tape
from riverrun.wire.limits import Limits
from riverrun.wire.request import parse_chat

LISTED = 16
"""Dropped parameters that are named; the API has 37 in all, so more are somebody's mistake."""


class Chat:
    """The surface's settings, and the runs that answer."""

    def __init__(self, runs: Runs, config: ServerConfig) -> None:
        self._runs = runs
        self._config = config
        self._limits = Limits(body=config.body_limit, n=config.max_n, strict=config.strict)

    async def __call__(self, exchange: Exchange, grant: Grant) -> None:
        chat = parse_chat(await exchange.body(self._limits.body), self._limits)
        begun = self._runs.begin(chat, grant)
        exchange.id, exchange.outcome = begun.tape.head.id, begun.outcome
        await (self._stream if chat.stream else self._whole)(exchange, begun.tape)

    async def _whole(self, exchange: Exchange, tape: Tape) -> None:
        waiter = Waiter(tape, exchange.stream())
        try:
            facts = _facts(self._carried(await tape.committed()))
            completion = await tape.ended()
        finally:
            waiter.leave()
        await exchange.json(completion, facts)

    async def _stream(self, exchange: Exchange, tape: Tape) -> None:
        """The 200 waits for content, so that a failure before it has its true status; but not for ever (*held*)."""
        events = EventStream(tape, exchange.stream(), heartbeat=self._config.heartbeat)
        try:
            committed: Committed | None = None
            try:
                async with asyncio.timeout(self._config.commit_after):
                    committed = self._carried(await tape.committed())
            except TimeoutError:
                pass
            request_id = (b"x-request-id", exchange.id.encode("ascii"))
            exchange.status = 200
            events.open([request_id, *exchange.extra, *_facts(committed)], held=committed is None)
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
    return "".join(letter if letter.isprintable() else "?" for letter in name[:128]).encode("ascii", "replace")


def _listed(names: tuple[str, ...]) -> bytes:
    """Names that a client made up, and as many as it likes: the first ones, and how many more."""
    shown = [_shown(name) for name in names[:LISTED]]
    more = len(names) - LISTED
    return b", ".join([*shown, b"and %d more" % more] if more > 0 else shown)
