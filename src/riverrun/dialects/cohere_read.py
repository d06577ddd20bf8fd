"""A Cohere v2 answer, event by event, as deltas. It has one choice, and its own ending: `message-end`.

Text is passed on as the JSON literal it came as. The plan before a call is thinking.
"""

from __future__ import annotations

from typing import TypeVar

from msgspec import Raw

from riverrun.dialects.blame import malformed, unfinished
from riverrun.dialects.cohere_beside import citations, usage
from riverrun.dialects.cohere_events import Block, Call, Message, Said, UsagePart, event, whole
from riverrun.dialects.endings import reason_of, unreadable
from riverrun.dialects.literals import document, text
from riverrun.dialects.rows import Row
from riverrun.routing.target import Target
from riverrun.stream.ask import Ask
from riverrun.stream.deltas import Delta, Finish, Open, Reasoning, Text, ToolArgs, ToolOpen
from riverrun.stream.tool_answer import call_id
from riverrun.wire.chunk import literal
from riverrun.wire.sse import Event

DONE = b"[DONE]"
T = TypeVar("T")


class CohereReader:
    """One answer. `done` once `message-end` came; what follows is ignored."""

    def __init__(self, ask: Ask, target: Target, row: Row) -> None:
        self.done = False
        self._ask_id = ask.id
        self._target = target
        self._row = row
        self._choice = ask.choices[0]
        self._opened = False
        self._calls: dict[int, int] = {}  # the upstream's index of a call, and our handle
        self._last = -1

    def read(self, event_: Event) -> list[Delta]:
        """The deltas of one event. Raises Failure for an error inside the stream, or a malformed event."""
        data = event_.data.strip()
        if self.done or not data or data == DONE:
            return []
        try:
            return self._deltas(event(data))
        except (ValueError, RecursionError) as error:
            unreadable(error)

    def whole(self, body: bytes) -> list[Delta]:
        """The deltas of an answer that came as one JSON object. Raises Failure where it is none."""
        out: list[Delta] = [Open(self._choice)]
        try:
            answer = whole(body)
            self._message(answer.message, None, out)
        except (ValueError, RecursionError) as error:
            unreadable(error)
        self._ended(answer.finish_reason, answer.usage, out)
        return out

    def finish(self) -> list[Delta]:
        """At the end of the body. Raises Failure where `message-end` did not come."""
        if not self.done:
            raise unfinished(self._target, self._choice)
        return []

    def _deltas(self, said: Said) -> list[Delta]:
        out: list[Delta] = []
        if not self._opened:
            self._opened = True
            out.append(Open(self._choice))
        if said.delta is None:
            return out
        if said.delta.message is not None:
            self._message(said.delta.message, said.index, out)
        if said.type == "message-end":
            self._ended(said.delta.finish_reason or "", said.delta.usage, out)
        return out

    def _message(self, message: Message, index: int | None, out: list[Delta]) -> None:
        """What an event's message holds, or a whole answer's: in the order in which a stream would tell it."""
        self._thought(message.tool_plan, out)
        if isinstance(message.content, str):
            message.content = Block(text=Raw(literal(message.content)))
        for block in _each(message.content):
            self._thought(block.thinking, out)
            words = text(block.text)
            if words is not None:
                out.append(Text(self._choice, words))
        for number, call in enumerate(_each(message.tool_calls)):
            self._call(call, number if index is None else index, out)
        for citation in _each(message.citations):
            out += citations(self._choice, citation)

    def _thought(self, raw: Raw, out: list[Delta]) -> None:
        words = text(raw)
        if words is not None:
            out.append(Reasoning(self._choice, words))

    def _call(self, call: Call, index: int, out: list[Delta]) -> None:
        name = call.function.name
        if name:
            handle = self._calls[index] = self._last = self._last + 1
            out.append(ToolOpen(self._choice, handle, call.id or call_id(self._ask_id, self._choice, handle), name))
        elif index not in self._calls:
            malformed("it holds a tool call without a name")
        arguments = document(call.function.arguments)
        if arguments is not None:
            out.append(ToolArgs(self._choice, self._calls[index], arguments))

    def _ended(self, word: str, counts: UsagePart | None, out: list[Delta]) -> None:
        out.append(Finish(self._choice, reason_of(word, self._row, self._target)))
        told = usage(counts) if counts is not None else None
        out += [told] if told is not None else []
        self.done = True


def _each(value: T | list[T] | None) -> list[T]:
    """One thing as a stream tells it, or the list of them that a whole answer holds."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
