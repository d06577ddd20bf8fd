"""The fold: the chunks of a stream to the completion that they add up to (Q1).

It trusts the grammar (the assembler's chunks keep it) and only adds: strings are appended, calls are gathered by
index, and the last usage stands. What does not add up is a ValueError, because it is our own bug.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from riverrun.wire.chunk import (
    DONE,
    ChoiceLogprobs,
    CompletionUsage,
    FunctionDelta,
    TokenLogprob,
    ToolCallDelta,
)
from riverrun.wire.completion import Choice, Completion, FunctionCall, Message, ToolCall
from riverrun.wire.jsonvalue import JsonObject

BATCH = 1000
"""Chunks that are decoded at once: what is said of each goes at once into the lists of its choice."""

Reason = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


class _ChoicePart(msgspec.Struct, gc=False):
    """One choice of a chunk. Its `delta` is looked at member by member, because nearly every one has just one."""

    index: int
    delta: dict[str, object]
    finish_reason: Reason | None
    logprobs: ChoiceLogprobs | None = None


class _Part(msgspec.Struct, gc=False):
    """What a chunk adds to the completion."""

    choices: list[_ChoicePart]
    usage: CompletionUsage | None = None


class _First(_Part, kw_only=True, gc=False):
    """The first chunk, with what is the same in every one, and so in the completion."""

    id: str
    created: int
    model: str
    service_tier: str | None = None
    system_fingerprint: str | None = None


_parts = msgspec.json.Decoder(list[_Part]).decode
_first = msgspec.json.Decoder(_First).decode


def fold(payloads: Iterable[bytes], usage: CompletionUsage | None = None) -> Completion:
    """The completion of a finished stream. `payloads` are the events' data, with or without the final [DONE].

    `usage` is the run's own count, for a stream whose caller did not ask for the usage chunk.
    """
    chunks = list(payloads)
    if chunks and chunks[-1] == DONE:
        chunks.pop()
    if not chunks:
        raise ValueError("no chunk to fold")
    head = _first(chunks[0])
    parts: list[_Part] = [head]
    choices: dict[int, _Choice] = {}
    start = 1
    while parts:
        for part in parts:
            usage = part.usage or usage
            for said in part.choices:
                choice = choices.get(said.index)
                if choice is None:
                    choice = choices[said.index] = _Choice(said.index)
                choice.add(said)
        batch = chunks[start : start + BATCH]
        parts = _parts(b"[%b]" % b",".join(batch)) if batch else []
        start += BATCH
    return Completion(
        id=head.id,
        object="chat.completion",
        created=head.created,
        model=head.model,
        choices=[choices[index].whole() for index in sorted(choices)],
        usage=usage,
        service_tier=msgspec.UNSET if head.service_tier is None else head.service_tier,
        system_fingerprint=head.system_fingerprint,
    )


class _Choice(msgspec.Struct, eq=False):
    """One choice while it is added up."""

    index: int
    texts: dict[str, list[str]] = {}
    calls: dict[int, _Call] = {}
    function: _Call | None = None
    annotations: list[JsonObject] = []
    signatures: list[JsonObject] = []
    audio: JsonObject | None = None
    logprobs: dict[str, list[TokenLogprob]] = {}
    finish_reason: Reason | None = None

    def add(self, chunk: _ChoicePart) -> None:
        for name, value in chunk.delta.items():
            if isinstance(value, str):
                said = self.texts.get(name)
                if said is None:
                    self.texts[name] = [value]
                else:
                    said.append(value)
            elif value is not None and name in MEMBERS:
                MEMBERS[name](self, value)
        if chunk.logprobs is not None:
            self._logprobs("content", chunk.logprobs.content)
            self._logprobs("refusal", chunk.logprobs.refusal)
        if chunk.finish_reason is not None:
            self.finish_reason = chunk.finish_reason

    def whole(self) -> Choice:
        if self.finish_reason is None:
            raise ValueError(f"choice {self.index} has no finish_reason")
        texts = {name: "".join(said) for name, said in self.texts.items()}
        refusal = texts.get("refusal") or None
        otherwise = refusal or self.calls or self.function or self.audio  # then content is null and not empty
        message = Message(
            role="assistant",
            content=texts.get("content") or (None if otherwise else ""),
            refusal=refusal,
            annotations=self.annotations,
            reasoning_content=texts.get("reasoning_content") or None,
            reasoning=texts.get("reasoning") or None,
            reasoning_details=self.signatures or None,
            tool_calls=[self.calls[index].tool_call() for index in sorted(self.calls)] if self.calls else None,
            function_call=self.function.function_call() if self.function else None,
            audio=self.audio,
        )
        logprobs = ChoiceLogprobs(self.logprobs.get("content"), self.logprobs.get("refusal")) if self.logprobs else None
        return Choice(self.index, message, logprobs, self.finish_reason)

    def _logprobs(self, name: str, tokens: list[TokenLogprob] | None) -> None:
        if tokens is not None:
            self.logprobs.setdefault(name, []).extend(tokens)

    # The members of a delta that are no text.

    def _calls(self, value: object) -> None:
        for fragment in msgspec.convert(value, list[ToolCallDelta]):
            self.calls.setdefault(fragment.index, _Call()).add(fragment.id, fragment.function)

    def _function(self, value: object) -> None:
        self.function = self.function or _Call()
        self.function.add(None, msgspec.convert(value, FunctionDelta))

    def _annotate(self, value: object) -> None:
        self.annotations += _unnumbered(value)

    def _sign(self, value: object) -> None:
        self.signatures += _unnumbered(value)

    def _speak(self, value: object) -> None:
        self.audio = _spoken(self.audio or {}, msgspec.convert(value, JsonObject))


MEMBERS: dict[str, Callable[[_Choice, object], None]] = {
    "tool_calls": _Choice._calls,
    "function_call": _Choice._function,
    "annotations": _Choice._annotate,
    "reasoning_details": _Choice._sign,
    "audio": _Choice._speak,
}


class _Call(msgspec.Struct, eq=False):
    """One tool call while its fragments come in."""

    id: str = ""
    name: str = ""
    arguments: list[str] = []

    def add(self, id: str | None, function: FunctionDelta | None) -> None:
        self.id = id or self.id
        if function is not None:
            self.name = function.name or self.name
            self.arguments.append(function.arguments or "")

    def function_call(self) -> FunctionCall:
        return FunctionCall(self.name, "".join(self.arguments))

    def tool_call(self) -> ToolCall:
        return ToolCall(self.id, "function", self.function_call())


def _unnumbered(items: object) -> list[JsonObject]:
    found = msgspec.convert(items, list[JsonObject])
    return [{name: value for name, value in item.items() if name != "index"} for item in found]


def _spoken(audio: JsonObject, piece: JsonObject) -> JsonObject:
    """Audio so far and one more piece: `data` and `transcript` are appended, the rest is said once."""
    whole = {**audio, **piece}
    for name in ("data", "transcript"):
        whole[name] = f"{audio.get(name) or ''}{piece.get(name) or ''}"
    return whole
