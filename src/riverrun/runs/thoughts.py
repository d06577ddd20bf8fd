"""What models thought before their tool calls, for clients that do not send it back.

Some upstreams refuse a tool's result unless the thought that led to the call comes with it, signed. riverrun hands it
out as `reasoning_details`; a client that drops it loses nothing, because it is kept here by the call's id, per tenant.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import cast

import msgspec

from riverrun.wire.completion import Completion, Message
from riverrun.wire.jsonvalue import JsonObject, JsonValue
from riverrun.wire.request import Chat

LIMIT = 4096
"""Calls that are remembered, the oldest forgotten first: an agent answers a call within minutes."""


class Thoughts:
    """One process's memory of them."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._by_call: OrderedDict[tuple[str, str], JsonObject] = OrderedDict()

    def remember(self, tenant: str, completion: Completion) -> None:
        """Keeps the signed thoughts of an answer that called tools."""
        for choice in completion.choices:
            if choice.message.reasoning_details and choice.message.tool_calls:
                self._keep(tenant, choice.message)

    def completed(self, tenant: str, chat: Chat) -> Chat:
        """The request with the thoughts that its assistant messages lack. The same one where none is known."""
        messages = cast("list[JsonObject]", chat.body.get("messages"))
        if not self._by_call or not any("tool_calls" in message for message in messages):
            return chat
        whole = [self._with_thoughts(tenant, message) for message in messages]
        if whole == messages:
            return chat
        return msgspec.structs.replace(chat, body={**chat.body, "messages": cast("JsonValue", whole)})

    def _keep(self, tenant: str, message: Message) -> None:
        kept: JsonObject = {"reasoning_details": cast("JsonValue", message.reasoning_details)}
        thought = message.reasoning_content or message.reasoning
        if thought:
            kept["reasoning_content"] = thought
        for call in message.tool_calls or ():
            self._by_call[tenant, call.id] = kept
        while len(self._by_call) > self._limit:
            self._by_call.popitem(last=False)

    def _with_thoughts(self, tenant: str, message: JsonObject) -> JsonObject:
        calls = message.get("tool_calls")
        if not isinstance(calls, list) or message.get("reasoning_details"):
            return message
        ids = [call.get("id") for call in calls if isinstance(call, dict)]
        known = (self._by_call.get((tenant, id)) for id in ids if isinstance(id, str))
        thought = next((each for each in known if each is not None), None)
        return {**thought, **message} if thought is not None else message
