"""An assembler made again from what is on a tape, so that another owner can go on with the stream. Pure.

A tape's chunks are read back as the deltas that they were made of and pushed once more, so that the state comes from
the same code as the first time. What was never on the tape is gone: deltas that had made no chunk yet, and what the
upstream had counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from riverrun.failures import Failure
from riverrun.stream.assembler import Assembler, Plan
from riverrun.stream.continued import fragments
from riverrun.stream.deltas import (
    Annotation,
    Audio,
    Delta,
    Finish,
    Reasoning,
    Refusal,
    Signature,
    Text,
    ToolArgs,
    ToolOpen,
    Usage,
)
from riverrun.wire.chunk import (
    DONE,
    Chunk,
    ChunkChoice,
    ChunkDelta,
    CompletionUsage,
    Identity,
    ToolCallDelta,
    decode,
    literal,
)
from riverrun.wire.jsonvalue import JsonObject

TOKENS = b"[]"
"""Stands for the logprobs of a chunk that is on the tape: they keep it from counting as empty, and are not sent."""


class _Error(msgspec.Struct):
    error: JsonObject


def is_ending(payload: bytes) -> bool:
    """Whether this event ends its stream: [DONE], or an error frame. Nobody may go on after it."""
    if payload == DONE:
        return True
    try:
        msgspec.json.decode(payload, type=_Error)
    except msgspec.DecodeError:
        return False
    return True


def restored(payloads: Sequence[bytes], identity: Identity, plan: Plan) -> Assembler:
    """The assembler that wrote these payloads, as it was after the last one; `identity` stands where there is none.

    It may be given them up to any one: with some openers missing, they come with the next delta. A call goes by its
    number now, which is the handle of every upstream that counts its calls in the order of their opening.

    Usage: the chunk that tells it is taken at its word and not sent twice. Before it, what upstreams counted is lost:
    `spent` is 0, because whoever goes on with a choice reports `partial(…).deltas` of it, and choices that have
    finished count a token a chunk, beside what the next upstream says.

    Raises ValueError where a payload is no chunk of ours (see `is_ending`), or they break the grammar.
    """
    chunks = [_chunk(payload) for payload in payloads]
    if not chunks:
        return Assembler(identity, plan)
    first = chunks[0]
    assembler = Assembler(
        Identity(first.id, first.created, first.model, first.system_fingerprint, first.service_tier), plan
    )
    assembler.freeze(opened=sum(choice.delta.role is not None for chunk in chunks for choice in chunk.choices))
    choices = [_Choice(index) for index in range(plan.n)]
    try:
        for chunk in chunks:
            assembler.push([delta for each in chunk.choices for delta in choices[each.index].deltas(each)])
            if chunk.usage is not None:
                assembler.push([_usage(chunk.usage)])
                assembler.counted = True
    except (Failure, IndexError) as error:
        raise ValueError(f"The tape holds what is no stream of this request: {error}") from error
    if not assembler.complete:
        assembler.inherited = [Usage(0, choice.said) for choice in choices if choice.finished]
    assembler.pushed = []
    return assembler


class _Choice:
    """One choice while its chunks are read back."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.said = 0
        """Chunks with something in them: about a token each."""
        self.finished = False
        self._calls = 0

    def deltas(self, chunk: ChunkChoice) -> list[Delta]:
        """What a chunk of this choice was made of; nothing for the opener, which says nothing."""
        if chunk.delta.role is not None:
            return []
        deltas = [*self._texts(chunk), *self._fragments(chunk.delta), *self._beside(chunk.delta)]
        self.said += bool(deltas)
        if chunk.finish_reason is not None:
            self.finished = True
            deltas.append(Finish(self.index, chunk.finish_reason))
        return deltas

    def _texts(self, chunk: ChunkChoice) -> Iterator[Delta]:
        delta, tokens = chunk.delta, None if chunk.logprobs is None else TOKENS
        thought = delta.reasoning_content or delta.reasoning
        if thought:
            yield Reasoning(self.index, literal(thought))
        if delta.content is not None:
            yield Text(self.index, literal(delta.content), tokens)
        if delta.refusal is not None:
            yield Refusal(self.index, literal(delta.refusal), tokens)

    def _fragments(self, delta: ChunkDelta) -> Iterator[Delta]:
        for fragment in fragments(delta, self._calls):
            yield self._fragment(fragment)

    def _fragment(self, fragment: ToolCallDelta) -> Delta:
        function = fragment.function
        if function is not None and function.name is not None:
            self._calls += 1
            return ToolOpen(self.index, fragment.index, fragment.id or "", function.name)
        arguments = function.arguments if function is not None else None
        return ToolArgs(self.index, fragment.index, literal(arguments or ""))

    def _beside(self, delta: ChunkDelta) -> Iterator[Delta]:
        for value in delta.annotations or ():
            yield Annotation(self.index, msgspec.json.encode(value))
        for value in delta.reasoning_details or ():
            yield Signature(self.index, msgspec.json.encode(value))
        if delta.audio is not None:
            yield Audio(self.index, msgspec.json.encode(delta.audio))


def _chunk(payload: bytes) -> Chunk:
    try:
        return decode(payload)
    except msgspec.DecodeError as error:
        what = "the end of a stream" if is_ending(payload) else f"no chunk ({error})"
        raise ValueError(f"Nobody can go on with this tape: it holds {what}.") from None


def _usage(usage: CompletionUsage) -> Usage:
    return Usage(
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.prompt_tokens_details,
        usage.completion_tokens_details,
    )
