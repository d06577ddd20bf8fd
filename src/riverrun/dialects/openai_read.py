"""An OpenAI-like answer, event by event, as deltas. It knows the vendors' quirks; the grammar is the assembler's.

Text is passed on as the JSON literal it came as: it is checked to be UTF-8 and not decoded. What a delta may hold
beside a text is read in `openai_said`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import msgspec
from msgspec import Raw

from riverrun.dialects.openai_calls import CallReader
from riverrun.dialects.openai_events import FirstPart, Part, Said, first_part, part
from riverrun.dialects.openai_failure import stream_failure
from riverrun.dialects.openai_logprobs import Spelling, trimmed
from riverrun.dialects.openai_said import EMPTY, QUOTE, beside, content, malformed, reasoning, refused
from riverrun.dialects.openai_usage import usage_of
from riverrun.dialects.rows import Row
from riverrun.dialects.surrogates import LoneSurrogate, Surrogates
from riverrun.failures import Cause, Failure
from riverrun.routing.target import Target
from riverrun.stream.ask import Ask
from riverrun.stream.deltas import FINISH_REASONS, Delta, Finish, FinishReason, Open, Text
from riverrun.wire.sse import Event

DONE = b"[DONE]"
NO_ERROR = frozenset({b"", b"null", b"false", b'""', b"{}"})

SILENCE = Said()
NO_TEXT = len(b'""')
LONGEST_NO_USAGE = len(b"null")
"""Bytes. Counts that say anything are longer."""


class _Choice(msgspec.Struct):
    """What is known of one of the upstream's choices; `number` is ours. (Made without a call of Python's.)"""

    number: int
    finished: bool = False
    calls: CallReader | None = None
    spelling: Spelling | None = None


class OpenAIReader:
    """One answer. `done` once every choice has its finish_reason and the terminator came; what follows is ignored."""

    __slots__ = ("_ask_id", "_choices", "_halves", "_logprobs", "_most", "_part", "_row", "_target", "done")

    def __init__(self, ask: Ask, target: Target, row: Row) -> None:
        request = ask.chat.request
        self.done = False
        self._ask_id = ask.id
        self._target = target
        self._row = row
        self._choices = tuple(map(_Choice, ask.choices))
        self._part: Callable[[bytes], Part] = first_part  # how an event is decoded, until it is known who answers
        self._logprobs = bool(request.logprobs)
        self._most = request.top_logprobs or 0
        self._halves: Surrogates | None = None  # only while half a character is held

    def read(self, event: Event) -> list[Delta]:
        """The deltas of one event. Raises Failure for an error inside the stream, or a malformed event."""
        data = event.data
        if self.done:
            return []
        if event.name == b"error":
            raise stream_failure(data, self._target)
        if data == DONE:
            return self._terminated()
        if self._halves is not None:
            return self._unusual(data)
        try:
            parsed = self._part(data)
        except (msgspec.DecodeError, RecursionError):
            return self._unusual(data)
        return self._deltas(parsed, data)

    def whole(self, body: bytes) -> list[Delta]:
        """The deltas of an answer that came as one JSON object. Raises Failure where it is an error, or incomplete."""
        try:
            parsed = self._part(body)
        except (msgspec.DecodeError, RecursionError):
            parsed = self._mended(body)
        return self._deltas(parsed, body) + self._terminated()

    def finish(self) -> list[Delta]:
        """At the end of the body. Raises Failure where a choice has no finish_reason, or half a character is left."""
        if self._halves is not None and not self.done:
            malformed("it ends with half a character")
        for choice in self._choices:
            if not choice.finished:
                raise Failure(
                    Cause.UPSTREAM_INTERRUPTED,
                    f"The upstream of '{self._target.name}' ended its answer before it was complete "
                    f"(choice {choice.number} has no finish_reason).",
                )
        self.done = True
        return []

    def _terminated(self) -> list[Delta]:
        """`[DONE]`: the end, if every choice has finished, or the row says that it finishes them."""
        deltas: list[Delta] = []
        if self._row.finish == "implied":
            for choice in self._choices:
                if not choice.finished:
                    choice.finished = True
                    deltas.append(Finish(choice.number, "stop"))
        return deltas + self.finish()

    def _unusual(self, data: bytes) -> list[Delta]:
        """The deltas of what can't be decoded as it stands: nothing, `[DONE]` among blanks, or half a character."""
        stripped = data.strip()
        if not stripped:
            return []
        if stripped == DONE:
            return self._terminated()
        return self._deltas(self._mended(data), data)

    def _mended(self, data: bytes) -> Part:
        """msgspec refuses half a surrogate pair, which is not an error yet. Raises Failure for what is none at all."""
        halves = self._halves or Surrogates()
        try:
            parsed = self._part(halves.mended(data))
        except LoneSurrogate as error:
            malformed(str(error))
        except RecursionError:
            malformed("an event is nested too deep")
        except (ValueError, OverflowError):
            malformed("an event is not the JSON that it should be")
        self._halves = halves if halves.held else None
        return parsed

    def _deltas(self, parsed: Part, data: bytes) -> list[Delta]:
        """A text with nothing beside it is what nearly every event of every stream is: for that, no more is called.

        An absent field is an empty Raw, which is false.
        """
        out: list[Delta] = []
        if parsed.error or self._part is not part:
            self._opening(parsed, data, out)
        try:
            for sent in parsed.choices or ():
                if not 0 <= sent.index < len(self._choices):
                    malformed(f"it sent choice {sent.index}, and {len(self._choices)} were asked for")
                choice = self._choices[sent.index]
                said = sent.delta or sent.message or SILENCE
                text = bytes(said.content)
                if (
                    (self._logprobs and said is not SILENCE)
                    or said.reasoning_content
                    or said.reasoning
                    or said.reasoning_details
                    or said.refusal
                    or said.tool_calls
                    or said.function_call is not None
                    or said.annotations
                    or said.audio
                ):
                    self._said(choice, said, sent.logprobs, out)
                elif len(text) > NO_TEXT and text[0] == QUOTE and text.isascii():
                    out.append(Text(choice.number, text))
                elif text not in EMPTY:
                    content(choice.number, said.content, None, out)
                if sent.finish_reason:
                    self._finished(choice, sent.finish_reason, out)
        except (msgspec.DecodeError, UnicodeDecodeError):
            malformed("a field of a choice is not what it should be")
        if len(parsed.usage) > LONGEST_NO_USAGE or parsed.x_groq is not None:
            usage = usage_of(parsed.usage) or (usage_of(parsed.x_groq.usage) if parsed.x_groq is not None else None)
            out += [usage] if usage is not None else []
        return out

    def _opening(self, parsed: Part, data: bytes, out: list[Delta]) -> None:
        """An error; or who answers, from the first chunk that has a choice (Azure's first has none, and no model)."""
        if bytes(parsed.error) not in NO_ERROR:
            raise stream_failure(data, self._target)
        if isinstance(parsed, FirstPart) and parsed.choices:
            self._part = part
            row = self._row
            model = parsed.model if row.model == "reported" else None
            fingerprint = parsed.system_fingerprint if row.fingerprint == "reported" else None
            out.append(Open(self._choices[0].number, model or None, fingerprint or None, parsed.service_tier or None))

    def _said(self, choice: _Choice, said: Said, logprobs: Raw, out: list[Delta]) -> None:
        """A delta that may hold anything. Raises msgspec.DecodeError and UnicodeDecodeError."""
        number = choice.number
        of_content, of_refusal = self._tokens(choice, said, logprobs) if self._logprobs else (None, None)
        if said.reasoning_content or said.reasoning or said.reasoning_details:
            reasoning(number, said, out)
        if said.content or of_content is not None:
            content(number, said.content, of_content, out)
        if said.refusal or of_refusal is not None:
            refused(number, said.refusal, of_refusal, out)
        if said.tool_calls or said.function_call is not None:
            self._calls(choice, said, out)
        if said.annotations or said.audio:
            beside(number, said, out)

    def _calls(self, choice: _Choice, said: Said, out: list[Delta]) -> None:
        calls = choice.calls = choice.calls or CallReader(self._ask_id, choice.number)
        if said.tool_calls:
            out += calls.fragments(said.tool_calls)
        if said.function_call is not None:
            out += calls.legacy(said.function_call)

    def _tokens(self, choice: _Choice, said: Said, logprobs: Raw) -> tuple[bytes | None, bytes | None]:
        if self._row.logprobs != "unspoken":
            return trimmed(logprobs, self._most)
        spelling = choice.spelling = choice.spelling or Spelling()
        return spelling.spelled(logprobs, self._most, said.content)

    def _finished(self, choice: _Choice, word: str, out: list[Delta]) -> None:
        if choice.finished:
            return  # OpenRouter says it twice
        reason = word if word in FINISH_REASONS else self._row.finish_reasons.get(word)
        if reason == "error":
            raise Failure(Cause.UPSTREAM_ERROR, f"The upstream of '{self._target.name}' failed while it answered.")
        if reason is None:
            malformed(f"its finish_reason {word[:40]!r} is not one of the API's")
        choice.finished = True
        if choice.calls is not None:
            choice.calls.close()
        out.append(Finish(choice.number, cast(FinishReason, reason)))
