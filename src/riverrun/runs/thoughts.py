"""What models thought before their tool calls, for clients that do not send it back.

Some upstreams refuse a tool's result unless the thought that led to the call comes with it, signed. riverrun hands it
out as `reasoning_details`; a client that drops it loses nothing, because it is kept here by the call's id, per tenant,
where every process that shares the tapes finds it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import cast

import msgspec

from riverrun.failures import Failure
from riverrun.tapes.contract import Tapes
from riverrun.wire.completion import Completion, Message
from riverrun.wire.jsonvalue import JsonObject, JsonValue
from riverrun.wire.request import Chat

log = logging.getLogger("riverrun.runs")

KEPT = 24 * 3600.0
"""Seconds for which a thought is kept: a call that waits for a person may be answered the next day."""


class Thoughts:
    """Kept as notes of `tapes`."""

    def __init__(self, tapes: Tapes) -> None:
        self._tapes = tapes
        self._fresh: dict[str, bytes] = {}  # those whose writing is under way

    async def remember(self, tenant: str, completion: Completion) -> None:
        """Keeps the signed thoughts of an answer that called tools."""
        notes: dict[str, bytes] = {}
        for choice in completion.choices:
            if choice.message.reasoning_details and choice.message.tool_calls:
                thought = msgspec.json.encode(_thought(choice.message))
                notes |= {_name(tenant, call.id): thought for call in choice.message.tool_calls}
        self._fresh |= notes
        try:
            await asyncio.gather(*(self._tapes.note(name, note, KEPT) for name, note in notes.items()))
        except Failure as failure:
            log.warning("a thought could not be kept: %s", failure)
        finally:
            for name in notes:
                self._fresh.pop(name, None)

    async def completed(self, tenant: str, chat: Chat) -> Chat:
        """The request with the thoughts that its assistant messages lack. The same one where none is known."""
        messages = _messages(chat)
        lacking = {index: ids for index, message in enumerate(messages) if (ids := _calls(message))}
        if not lacking:
            return chat
        found = await asyncio.gather(*(self._of(tenant, ids) for ids in lacking.values()))
        thoughts = {index: thought for index, thought in zip(lacking, found, strict=True) if thought}
        if not thoughts:
            return chat
        whole = [{**thoughts.get(index, {}), **message} for index, message in enumerate(messages)]
        return msgspec.structs.replace(chat, body={**chat.body, "messages": cast("JsonValue", whole)})

    async def _of(self, tenant: str, ids: list[str]) -> JsonObject | None:
        """The thought behind these calls, which were made together."""
        for id in ids:
            name = _name(tenant, id)
            try:
                note = self._fresh.get(name) or await self._tapes.noted(name)
            except Failure as failure:
                log.warning("a thought could not be looked up: %s", failure)
                return None
            if note is not None:
                thought: JsonObject = msgspec.json.decode(note)
                return thought
        return None


def lacks_thoughts(chat: Chat) -> bool:
    """Whether any of its messages calls tools and does not say what was thought before: most requests have none."""
    return any("tool_calls" in message and _calls(message) for message in _messages(chat))


def _messages(chat: Chat) -> list[JsonObject]:
    return cast("list[JsonObject]", chat.body["messages"])


def _name(tenant: str, call: str) -> str:
    return f"thought {len(tenant)} {tenant} {call}"


def _calls(message: JsonObject) -> list[str]:
    """The ids of a message's tool calls, where their thought is missing."""
    calls = message.get("tool_calls")
    if not isinstance(calls, list) or message.get("reasoning_details"):
        return []
    ids = (call.get("id") for call in calls if isinstance(call, dict))
    return [id for id in ids if isinstance(id, str)]


def _thought(message: Message) -> JsonObject:
    kept: JsonObject = {"reasoning_details": cast("JsonValue", message.reasoning_details)}
    thought = message.reasoning_content or message.reasoning
    return {**kept, "reasoning_content": thought} if thought else kept
