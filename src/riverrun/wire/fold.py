"""The fold: the chunks of a stream to the completion that they add up to (Q1).

It trusts the grammar (the assembler's chunks keep it) and only adds: strings are appended, calls are gathered by
index, and the last usage stands. What does not add up is a ValueError, because it is our own bug.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from riverrun.wire.chunk import (
    DONE,
    ChoiceLogprobs,
    Chunk,
    ChunkChoice,
    CompletionUsage,
    FunctionDelta,
    TokenLogprob,
    decode,
)
from riverrun.wire.completion import Choice, Completion, FunctionCall, Message, ToolCall
from riverrun.wire.jsonvalue import JsonObject


def fold(payloads: Iterable[bytes], usage: CompletionUsage | None = None) -> Completion:
    """The completion of a finished stream. `payloads` are the events' data, with or without the final [DONE].

    `usage` is the run's own count, for a stream whose caller did not ask for the usage chunk.
    """
    first: Chunk | None = None
    choices: dict[int, _Choice] = {}
    for payload in payloads:
        if payload == DONE:
            continue
        chunk = decode(payload)
        first = first or chunk
        usage = chunk.usage or usage
        for choice in chunk.choices:
            choices.setdefault(choice.index, _Choice(choice.index)).add(choice)
    if first is None:
        raise ValueError("no chunk to fold")
    return Completion(
        id=first.id,
        object="chat.completion",
        created=first.created,
        model=first.model,
        choices=[choices[index].whole() for index in sorted(choices)],
        usage=usage,
        service_tier=msgspec.UNSET if first.service_tier is None else first.service_tier,
        system_fingerprint=first.system_fingerprint,
    )


class _Choice:
    """One choice while it is added up."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.texts: dict[str, list[str]] = {}
        self.calls: dict[int, _Call] = {}
        self.function: _Call | None = None
        self.annotations: list[JsonObject] = []
        self.signatures: list[JsonObject] = []
        self.audio: JsonObject | None = None
        self.logprobs: dict[str, list[TokenLogprob]] = {}
        self.finish_reason: str | None = None

    def add(self, chunk: ChunkChoice) -> None:
        delta = chunk.delta
        self._text("content", delta.content)
        self._text("refusal", delta.refusal)
        self._text("reasoning_content", delta.reasoning_content)
        self._text("reasoning", delta.reasoning)
        for fragment in delta.tool_calls or ():
            self.calls.setdefault(fragment.index, _Call()).add(fragment.id, fragment.function)
        if delta.function_call is not None:
            self.function = self.function or _Call()
            self.function.add(None, delta.function_call)
        self.annotations += _unnumbered(delta.annotations)
        self.signatures += _unnumbered(delta.reasoning_details)
        if delta.audio is not None:
            self.audio = _spoken(self.audio or {}, delta.audio)
        if chunk.logprobs is not None:
            self._logprobs("content", chunk.logprobs.content)
            self._logprobs("refusal", chunk.logprobs.refusal)
        self.finish_reason = chunk.finish_reason or self.finish_reason

    def whole(self) -> Choice:
        if self.finish_reason is None:
            raise ValueError(f"choice {self.index} has no finish_reason")
        message = Message(
            role="assistant",
            content=self._joined("content") or (None if self._says_otherwise() else ""),
            refusal=self._joined("refusal"),
            annotations=self.annotations,
            reasoning_content=self._joined("reasoning_content"),
            reasoning=self._joined("reasoning"),
            reasoning_details=self.signatures or None,
            tool_calls=[self.calls[index].tool_call() for index in sorted(self.calls)] or None,
            function_call=self.function.function_call() if self.function else None,
            audio=self.audio,
        )
        logprobs = ChoiceLogprobs(self.logprobs.get("content"), self.logprobs.get("refusal")) if self.logprobs else None
        return msgspec.convert(
            {"index": self.index, "message": message, "logprobs": logprobs, "finish_reason": self.finish_reason}, Choice
        )

    def _says_otherwise(self) -> bool:
        """Whether the answer is something other than text, so that its content is null and not empty."""
        return bool(self.calls or self.function or self.texts.get("refusal") or self.audio)

    def _text(self, name: str, text: str | None) -> None:
        if text:
            self.texts.setdefault(name, []).append(text)

    def _joined(self, name: str) -> str | None:
        return "".join(self.texts[name]) if name in self.texts else None

    def _logprobs(self, name: str, tokens: list[TokenLogprob] | None) -> None:
        if tokens is not None:
            self.logprobs.setdefault(name, []).extend(tokens)


class _Call:
    """One tool call while its fragments come in."""

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []

    def add(self, id: str | None, function: FunctionDelta | None) -> None:
        self.id = id or self.id
        if function is not None:
            self.name = function.name or self.name
            self.arguments.append(function.arguments or "")

    def function_call(self) -> FunctionCall:
        return FunctionCall(self.name, "".join(self.arguments))

    def tool_call(self) -> ToolCall:
        return ToolCall(self.id, "function", self.function_call())


def _unnumbered(items: list[JsonObject] | None) -> list[JsonObject]:
    return [{name: value for name, value in item.items() if name != "index"} for item in items or ()]


def _spoken(audio: JsonObject, piece: JsonObject) -> JsonObject:
    """Audio so far and one more piece: `data` and `transcript` are appended, the rest is said once."""
    whole = {**audio, **piece}
    for name in ("data", "transcript"):
        whole[name] = f"{audio.get(name) or ''}{piece.get(name) or ''}"
    return whole
