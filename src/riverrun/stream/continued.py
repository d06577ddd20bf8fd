"""Going on with an answer that broke: what was said so far, and the ask that continues it. Pure.

`partial` reads what a client has already seen off the tape; `prefilled` makes the ask for an upstream that goes on with
an assistant's words; `Seam` takes off the new answer what the client has seen of the old one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from riverrun.failures import Cause, Failure
from riverrun.stream.ask import Ask
from riverrun.stream.deltas import Delta, Finish, Reasoning, Refusal, Text, ToolArgs, ToolOpen
from riverrun.wire.chunk import DONE, ChunkDelta, ToolCallDelta, decode, literal
from riverrun.wire.request import Chat

Kind = Literal["text", "reasoning", "refusal"]
KINDS: dict[type, Kind] = {Text: "text", Reasoning: "reasoning", Refusal: "refusal"}

LIMITS = ("max_completion_tokens", "max_tokens")


class Partial(msgspec.Struct, frozen=True):
    """What a client has seen of one choice. `calls` are the tool calls' names and arguments, in order.

    `deltas` counts the chunks that said something: about a token each. `beside`: there was audio or an annotation.
    """

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    deltas: int = 0
    beside: bool = False

    @property
    def visible(self) -> bool:
        """Whether anything but reasoning was seen. Without it an answer can start anew and nobody notices."""
        return bool(self.text or self.refusal or self.calls or self.beside)


def partial(payloads: Iterable[bytes], choice: int) -> Partial:
    """What the events on a tape say of one choice."""
    texts: dict[str, list[str]] = {"text": [], "reasoning": [], "refusal": []}
    calls: dict[int, list[str]] = {}
    deltas = 0
    beside = False
    for payload in payloads:
        if payload == DONE:
            continue
        for each in decode(payload).choices:
            if each.index != choice:
                continue
            delta = each.delta
            thought = delta.reasoning_content or delta.reasoning or ""
            beside = beside or bool(delta.audio or delta.annotations)
            texts["text"].append(delta.content or "")
            texts["reasoning"].append(thought)
            texts["refusal"].append(delta.refusal or "")
            deltas += bool(delta.content or thought or delta.refusal or delta.tool_calls or delta.function_call)
            for call in fragments(delta, len(calls)):
                if call.function is not None:
                    calls.setdefault(call.index, [call.function.name or ""]).append(call.function.arguments or "")
    joined = {kind: "".join(pieces) for kind, pieces in texts.items()}
    told = tuple((call[0], "".join(call[1:])) for call in calls.values())
    return Partial(**joined, calls=told, deltas=deltas, beside=beside)


def fragments(delta: ChunkDelta, opened: int) -> list[ToolCallDelta]:
    """The tool call fragments of a chunk of ours, of a choice with so many calls before it.

    The deprecated `function_call` has no number and no id: a name begins a call, what has none belongs to the latest.
    """
    function = delta.function_call
    if function is None:
        return delta.tool_calls or []
    return [ToolCallDelta(opened if function.name is not None else opened - 1, None, None, function)]


def prefilled(ask: Ask, so_far: Partial, used: int) -> Ask:
    """The ask that goes on after `so_far`, of which `used` tokens were spent. At least one token is left.

    The dialect puts the text where its upstream looks for it. `ask` is for one choice.
    """
    limits: dict[str, int] = {}
    for name in LIMITS:
        given = getattr(ask.chat.request, name)
        if given is not None:
            limits[name] = max(1, given - used)
    request = msgspec.structs.replace(ask.chat.request, **limits)
    chat = Chat(request, {**ask.chat.body, **limits}, ask.chat.extra)
    return msgspec.structs.replace(ask, chat=chat, prefill=so_far.text)


class Seam:
    """Stands between a continuing upstream and the assembler, and takes off what was already said.

    Raises Failure where the new answer differs from it, because two halves of two answers are no answer. With
    `anew`, the reasoning of an answer of which nothing else was seen is not compared: it is not sent again.
    """

    def __init__(self, so_far: Partial, *, anew: bool = False) -> None:
        self._anew = anew
        self._left: dict[Kind, str] = {"text": so_far.text, "refusal": so_far.refusal}
        self._left["reasoning"] = "" if anew else so_far.reasoning
        self._calls = list(so_far.calls)
        self._arguments: dict[int, str] = {}  # by the upstream's handle: what is still to be repeated

    @property
    def closed(self) -> bool:
        """All that was said has been repeated: the rest passes as it comes."""
        return self.repeated and not self._anew

    @property
    def repeated(self) -> bool:
        """Nothing that was said and is compared is still missing."""
        return not (self._calls or any(self._left.values()) or any(self._arguments.values()))

    def passed(self, deltas: list[Delta]) -> list[Delta]:
        """The deltas that are new."""
        if self.closed:
            return deltas
        return [kept for delta in deltas if (kept := self._passed(delta)) is not None]

    def _passed(self, delta: Delta) -> Delta | None:
        if isinstance(delta, Text | Reasoning | Refusal):
            return self._said(delta)
        if isinstance(delta, ToolOpen):
            return self._opened(delta)
        if isinstance(delta, ToolArgs):
            rest = self._rest(self._arguments.get(delta.call, ""), delta.literal)
            self._arguments[delta.call] = rest[0]
            return ToolArgs(delta.choice, delta.call, rest[1]) if rest[1] is not None else None
        if isinstance(delta, Finish) and not self.repeated:
            raise _differs("it ended before it came to where the first answer broke off")
        return delta

    def _said(self, delta: Text | Reasoning | Refusal) -> Delta | None:
        kind = KINDS[type(delta)]
        if self._anew and kind == "reasoning":
            return None
        left, new = self._rest(self._left[kind], delta.literal)
        self._left[kind] = left
        return msgspec.structs.replace(delta, literal=new) if new is not None else None

    def _opened(self, delta: ToolOpen) -> Delta | None:
        if not self._calls:
            return delta
        name, arguments = self._calls.pop(0)
        if name != delta.name:
            raise _differs(f"it calls {delta.name!r} where the first answer called {name!r}")
        self._arguments[delta.call] = arguments
        return None

    def _rest(self, left: str, said: bytes) -> tuple[str, bytes | None]:
        """What is still to be repeated after `said`, and what of `said` is new (None: nothing)."""
        if not left:
            return "", said
        words = msgspec.json.decode(said, type=str)
        if left.startswith(words):
            return left[len(words) :], None
        if words.startswith(left):
            return "", literal(words[len(left) :])
        raise _differs("it says something else than the first answer")


def _differs(how: str) -> Failure:
    return Failure(Cause.UPSTREAM_INTERRUPTED, f"The answer broke off, and a second one can't continue it: {how}.")
