"""The only owner of the stream's grammar: deltas in, whole chunks out, in an order that every client can read.

    nothing            until a delta says something (then the stream is *committed*; see `stream.gate`)
    openers            one per choice, together and in order (O1, O2, N2)
    text, calls, …     as they come; one choice and one call fragment per chunk (N1, T5)
    finish             once per choice, with an empty delta (O7), nothing after it (O8)
    usage, [DONE]      once, last (O11, U2, F12)

It does no I/O and reads no clock; identity comes in, payloads go out. What breaks the grammar is a Failure that
blames the upstream: a broken stream never looks finished.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import msgspec

from riverrun.failures import Cause, Failure
from riverrun.stream.calls import Calls, Fragment, Opened
from riverrun.stream.deltas import (
    FINISH_REASONS,
    Annotation,
    Audio,
    Delta,
    Finish,
    Open,
    Reasoning,
    Refusal,
    Signature,
    Text,
    ToolArgs,
    ToolOpen,
    Usage,
)
from riverrun.stream.usage import combined, estimated
from riverrun.wire.chunk import DONE, CompletionUsage, Identity, Writer, literal
from riverrun.wire.jsonvalue import JsonValue

TEXT, CALL, REFUSAL = b'"content":"","refusal":null', b'"content":null,"refusal":null', b'"content":null,"refusal":""'
OPENERS: dict[type, bytes] = {ToolOpen: CALL, Audio: CALL, Refusal: REFUSAL}
"""How the committing choice opens, by its first delta; TEXT where it is text or not known yet (O4)."""

Said = Text | Reasoning | Refusal | ToolOpen | ToolArgs | Annotation | Signature | Audio | Finish
"""Deltas that say something of a choice."""

Source = tuple[int, int]
"""Whose usage replaces whose: the branch, and which of its upstream calls whose text was sent."""

NO_TOKENS = b'{"content":[],"refusal":null}'

REASONS = {reason: literal(reason) for reason in FINISH_REASONS}
CALLED = frozenset({"stop", "tool_calls", "function_call"})
"""Reasons for which a choice with calls finishes because of them."""


class Plan(msgspec.Struct, frozen=True):
    """What the caller asked of the stream's form. `thoughts`: the fields that carry reasoning, one or two.

    `functions`: the deprecated parameter was used, so calls come as `function_call`. `messages` are for an estimate
    of the prompt where the upstream reports no usage.
    """

    n: int = 1
    include_usage: bool = False
    logprobs: bool = False
    functions: bool = False
    thoughts: tuple[bytes, ...] = (b"reasoning_content",)
    messages: JsonValue = None
    pad: Callable[[int], str] | None = None


class _Choice(msgspec.Struct, eq=False):
    """What must be remembered of a choice to keep its grammar."""

    made: Calls | None = None
    annotations: int = 0
    signatures: int = 0
    finished: bool = False

    def calls(self) -> Calls:
        """Made when the first one comes: most choices have none, and a stream that waits is held small."""
        if self.made is None:
            self.made = Calls()
        return self.made


class Assembler:
    """One stream. `identity.model` and its fingerprint stand unless the upstream's Open says otherwise in time."""

    __slots__ = (
        "_choices",
        "_said",
        "_source",
        "_speaking",
        "_unopened",
        "_usage",
        "_writer",
        "committed",
        "counted",
        "identity",
        "inherited",
        "limited",
        "plan",
        "pushed",
        "signed",
        "spent",
    )

    def __init__(self, identity: Identity, plan: Plan) -> None:
        self.identity = identity
        self.plan = plan
        self.committed = False
        self._choices = [_Choice() for _ in range(plan.n)]
        self._speaking: dict[int, _Choice] = {}  # those that have said something and may say more
        self._unopened = range(plan.n)
        self.spent = 0
        """Tokens that were sent by calls which broke and were continued, and which no upstream counted."""
        self.inherited: list[Usage] = []
        """Of choices that another owner finished: what they cost, as far as the tape says, beside what comes."""
        self.counted = False
        """The usage chunk is out already: another owner wrote it."""
        self.limited = False
        """A choice was cut by its token limit."""
        self.signed = False
        """A choice came with a signature."""
        self._usage: dict[Source, Usage] = {}
        self._said = 0  # deltas that stand for about a token each
        self._source: Source = (0, 0)
        self._writer: Writer
        self.pushed: list[bytes] = []
        """The payloads of the latest push; of one that failed, those before the fault."""

    @property
    def complete(self) -> bool:
        """Every choice that was asked for has its finish_reason."""
        return all(choice.finished for choice in self._choices)

    @property
    def usage(self) -> CompletionUsage:
        """What the answer cost so far: the upstream's count, or an estimate where it gave none."""
        if self._usage:
            calls = [self._usage[source] for source in sorted(self._usage)]
            return combined(calls + self.inherited, self.spent)
        return estimated(len(msgspec.json.encode(self.plan.messages)), self._said)

    def unfinished(self, choices: tuple[int, ...]) -> tuple[int, ...]:
        """Those of the choices that have no finish_reason yet."""
        return tuple(choice for choice in choices if not self._choices[choice].finished)

    def freeze(self, opened: int = 0) -> None:
        """From now on the identity stands. The first `opened` choices have their openers already."""
        self.committed = True
        self._unopened = range(opened, self.plan.n)
        self._writer = Writer(self.identity, usage_null=self.plan.include_usage, pad=self.plan.pad)

    def push(self, deltas: list[Delta], source: Source = (0, 0)) -> list[bytes]:
        """The payloads that these deltas of one source complete. Raises Failure where they break the grammar."""
        self._source = source
        out: list[bytes] = []
        self.pushed = out
        for delta in deltas:
            STEPS[type(delta)](self, delta)
        return out

    def finish(self) -> list[bytes]:
        """The tail of a stream whose every choice has finished: the usage chunk if asked for, and [DONE]."""
        for index, choice in enumerate(self._choices):
            if not choice.finished:
                raise Failure(
                    Cause.UPSTREAM_INTERRUPTED,
                    f"The upstream ended its answer before it was complete (choice {index} has no finish_reason).",
                )
        if self.plan.include_usage and not self.counted:
            return [self._writer.usage(self.usage), DONE]
        return [DONE]

    # One step per kind of delta. Each appends whole payloads to `pushed`.

    def _open(self, delta: Open) -> None:
        if not self.committed:
            known = self.identity
            self.identity = Identity(
                known.id,
                known.created,
                delta.model or known.model,
                delta.fingerprint or known.system_fingerprint,
                delta.tier or known.service_tier,
            )

    def _text(self, delta: Text) -> None:
        """Nearly every delta of a stream."""
        literal = delta.literal
        if delta.logprobs is not None:
            self._say(delta)
            tokens = b'{"content":%b,"refusal":null}' % delta.logprobs
            self.pushed.append(self._writer.delta(delta.choice, b'"content":' + literal, tokens))
        elif literal != b'""':
            if delta.choice not in self._speaking:
                self._open_choice(delta)
            self._said += 1
            self.pushed.append(self._writer.text(delta.choice, literal))

    def _reasoning(self, delta: Reasoning) -> None:
        if delta.literal != b'""':
            self._say(delta)
            fields = b",".join([b'"%b":%b' % (name, delta.literal) for name in self.plan.thoughts])
            self.pushed.append(self._writer.delta(delta.choice, fields))

    def _refusal(self, delta: Refusal) -> None:
        if delta.literal != b'""' or delta.logprobs is not None:
            self._say(delta)
            tokens = b"null" if delta.logprobs is None else b'{"content":null,"refusal":%b}' % delta.logprobs
            self.pushed.append(self._writer.delta(delta.choice, b'"refusal":' + delta.literal, tokens))

    def _tool_open(self, delta: ToolOpen) -> None:
        choice = self._say(delta)
        self._fragments(delta.choice, choice.calls().open(delta))

    def _tool_args(self, delta: ToolArgs) -> None:
        choice = self._say(delta)
        self._fragments(delta.choice, choice.calls().argue(delta))

    def _annotation(self, delta: Annotation) -> None:
        choice = self._say(delta)
        numbered = _numbered(delta.value, choice.annotations)
        choice.annotations += 1
        self.pushed.append(self._writer.delta(delta.choice, b'"annotations":[%b]' % numbered))

    def _signature(self, delta: Signature) -> None:
        choice = self._say(delta)
        numbered = _numbered(delta.value, choice.signatures)
        choice.signatures += 1
        self.signed = True
        self.pushed.append(self._writer.delta(delta.choice, b'"reasoning_details":[%b]' % numbered))

    def _audio(self, delta: Audio) -> None:
        self._say(delta)
        self.pushed.append(self._writer.delta(delta.choice, b'"audio":' + delta.value))

    def _finish(self, delta: Finish) -> None:
        choice = self._say(delta)
        reason = delta.reason
        calls = choice.made
        called = calls is not None and len(calls) > 0
        if calls is not None and called:
            self._fragments(delta.choice, calls.close(reason))
        choice.finished = True
        del self._speaking[delta.choice]
        self.limited = self.limited or reason == "length"
        if called and reason in CALLED:
            reason = "function_call" if self.plan.functions else "tool_calls"  # T10, T13
        self.pushed.append(self._writer.delta(delta.choice, b"", finish_reason=REASONS[reason]))

    def _count(self, delta: Usage) -> None:
        self._usage[self._source] = delta

    def _say(self, delta: Said) -> _Choice:
        """The delta's choice, committed and open for more."""
        choice = self._speaking.get(delta.choice) or self._open_choice(delta)
        self._said += 1
        return choice

    def _open_choice(self, delta: Said) -> _Choice:
        """The choice whose first delta this is. Raises Failure where there is no such choice, or no more of it."""
        if delta.choice >= len(self._choices):
            _malformed(f"it sent choice {delta.choice}, and {len(self._choices)} were asked for")
        choice = self._choices[delta.choice]
        if choice.finished:
            _malformed(f"it sent more of choice {delta.choice} after its finish_reason")
        if self._unopened:
            self._commit(delta.choice, OPENERS.get(type(delta), TEXT))
        self._speaking[delta.choice] = choice
        return choice

    def _commit(self, first: int, opening: bytes) -> None:
        """Freeze the identity and open every choice, in order; those that have an opener on the tape not again."""
        if not self.committed:
            self.freeze()
        tokens = NO_TOKENS if self.plan.logprobs else b"null"
        for index in self._unopened:
            fields = b'"role":"assistant",' + (opening if index == first else TEXT)
            self.pushed.append(self._writer.delta(index, fields, tokens))
        self._unopened = range(0)

    def _fragments(self, index: int, fragments: list[Fragment]) -> None:
        spell = _function_call if self.plan.functions else _tool_call
        for fragment in fragments:
            self.pushed.append(self._writer.delta(index, spell(fragment)))


STEPS: dict[type, Callable[..., None]] = {
    Open: Assembler._open,
    Text: Assembler._text,
    Reasoning: Assembler._reasoning,
    Refusal: Assembler._refusal,
    ToolOpen: Assembler._tool_open,
    ToolArgs: Assembler._tool_args,
    Annotation: Assembler._annotation,
    Signature: Assembler._signature,
    Audio: Assembler._audio,
    Finish: Assembler._finish,
    Usage: Assembler._count,
}


def _numbered(value: bytes, index: int) -> bytes:
    """A JSON object with its place among its like: openai-python merges lists of objects by `index` (O12)."""
    rest = value.strip()[1:]
    return b'{"index":%d%b%b' % (index, b"" if rest == b"}" else b",", rest)


def _tool_call(fragment: Fragment) -> bytes:
    if isinstance(fragment, Opened):
        return b'"tool_calls":[{"index":%d,"id":%b,"type":"function","function":{"name":%b,"arguments":""}}]' % (
            fragment.number,
            literal(fragment.id),
            literal(fragment.name),
        )
    return b'"tool_calls":[{"index":%d,"function":{"arguments":%b}}]' % (fragment.number, fragment.literal)


def _function_call(fragment: Fragment) -> bytes:
    if isinstance(fragment, Opened):
        return b'"function_call":{"name":%b,"arguments":""}' % literal(fragment.name)
    return b'"function_call":{"arguments":%b}' % fragment.literal


def _malformed(what: str) -> NoReturn:
    raise Failure(Cause.UPSTREAM_MALFORMED, f"The upstream's answer could not be understood: {what}.")
