"""/v1/chat/completions/{id} and below: answers after their request, while they run and for as long as they are kept.

An answer of another tenant does not exist here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing, suppress

import msgspec

from riverrun.failures import Cause, Failure, bad_request
from riverrun.runs.runs import Grant
from riverrun.server import stored
from riverrun.server.chat import Chat
from riverrun.server.exchange import Exchange
from riverrun.server.intent import cursor
from riverrun.server.listing import cut, listed, page
from riverrun.stream.flow import Cancelled, Ending, Finished, Refused
from riverrun.tapes.contract import Tape, Tapes
from riverrun.wire.jsonvalue import JsonObject
from riverrun.wire.options import Metadata

PREFIX = "/v1/chat/completions/"
SETTLES = 2.0
"""Seconds that a cancelled answer is given to end, before it is told how."""

BODY = 256 * 1024
"""Bytes of a metadata update."""

ENDED: dict[type[Ending], str] = {Finished: "completed", Cancelled: "cancelled", Refused: "failed"}


class Update(msgspec.Struct, frozen=True):
    """The body of a metadata update."""

    metadata: Metadata | None


class Completions:
    """`chat` writes streams and whole answers; `tapes` has them."""

    def __init__(self, chat: Chat, tapes: Tapes) -> None:
        self._chat = chat
        self._tapes = tapes

    async def retrieve(self, exchange: Exchange, grant: Grant) -> None:
        """The whole answer, once it is complete; or its events, from a cursor on."""
        tape = await self._tape(exchange, grant)
        if not _streams(exchange):
            await self._chat.whole(exchange, tape, stored.shown if tape.head.store else None)
            return
        after = cursor(exchange.headers, exchange.query)
        exchange.way = "resumed" if after else "replayed" if tape.ending is not None else "joined"
        await self._chat.stream(exchange, tape, after)

    async def cancel(self, exchange: Exchange, grant: Grant) -> None:
        """Ends a running answer; one that has ended stays as it is."""
        tape = await self._tape(exchange, grant)
        await self._tapes.cancel(tape)
        with suppress(Failure, TimeoutError):  # it may have finished in the same moment
            async with asyncio.timeout(SETTLES):
                await tape.ended()
        status = ENDED[type(tape.ending or Cancelled())]
        await exchange.json({"id": tape.head.id, "object": "chat.completion.cancelled", "status": status})

    async def delete(self, exchange: Exchange, grant: Grant) -> None:
        """It is gone at once, whether it runs or has ended; its key is free."""
        id = _id(exchange)
        try:
            await self._tape(exchange, grant)
        except Failure as failure:
            if failure.cause is not Cause.STORAGE:  # what can't be read can still be removed
                raise
        await self._tapes.delete(grant.tenant, id)
        await exchange.json({"object": "chat.completion.deleted", "id": id, "deleted": True})

    async def update(self, exchange: Exchange, grant: Grant) -> None:
        """Replaces the metadata of a stored completion, and answers with it, once it is complete."""
        body = await exchange.body(BODY)
        tape = _kept(await self._tape(exchange, grant))
        try:
            update = msgspec.json.decode(body, type=Update)
        except msgspec.DecodeError as error:
            raise bad_request(f'Expected {{"metadata": {{…}}}}: {error}.', "metadata") from None
        await self._tapes.annotate(tape, update.metadata or {})
        await exchange.json(stored.shown(tape, await tape.ended()))

    async def messages(self, exchange: Exchange, grant: Grant) -> None:
        """The messages of the request that a stored completion answers."""
        tape = _kept(await self._tape(exchange, grant))
        told = stored.messages(tape.head)
        piece = cut(told, [str(each["id"]) for each in told], page(exchange.query))
        await exchange.json(listed(piece.things, more=piece.more))

    async def all(self, exchange: Exchange, grant: Grant) -> None:
        """The completions that were asked for with `store`, and are complete."""
        asked = page(exchange.query)
        wanted = {
            name[len("metadata[") : -1]: value for name, value in exchange.query.items() if name.startswith("metadata[")
        }
        data: list[JsonObject] = []
        more = False
        kept = self._tapes.stored(grant.tenant, after=asked.after, newest_first=asked.order == "desc")
        async with aclosing(kept) as tapes:
            async for tape in tapes:
                if not _fits(tape, wanted, asked.model):
                    continue
                more = len(data) == asked.limit
                if more:
                    break
                data.append(stored.shown(tape, await tape.ended()))
        await exchange.json(listed(data, more=more))

    async def _tape(self, exchange: Exchange, grant: Grant) -> Tape:
        id = _id(exchange)
        tape = await self._tapes.open(grant.tenant, id)
        if tape is None:
            raise _unknown(id)
        exchange.id = tape.head.id
        return tape


def _id(exchange: Exchange) -> str:
    return exchange.path.removeprefix(PREFIX).partition("/")[0]


def _fits(tape: Tape, wanted: Mapping[str, str], model: str | None) -> bool:
    """Whether it is complete, and has this metadata and this model."""
    alike = all(tape.metadata.get(name) == value for name, value in wanted.items())
    return alike and isinstance(tape.ending, Finished) and model in (None, stored.model(tape.head))


def _kept(tape: Tape) -> Tape:
    """Raises Failure for an answer that was not to be stored."""
    if not tape.head.store:
        raise Failure(
            Cause.UNKNOWN_ID,
            f"The completion {tape.head.id} is not stored: only those asked for with `store: true` have messages "
            "and metadata.",
        )
    return tape


def _streams(exchange: Exchange) -> bool:
    asked = exchange.query.get("stream")
    if asked is not None:
        return asked.lower() in ("true", "1", "")
    return "text/event-stream" in exchange.headers.get("accept", "").lower()


def _unknown(id: str) -> Failure:
    shown = "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in id[:64])
    return Failure(Cause.UNKNOWN_ID, f"Completion {shown} not found. It may be another key's, or never was.")
