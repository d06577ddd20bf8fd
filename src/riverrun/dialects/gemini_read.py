"""A Gemini answer, event by event, as deltas. The stream has no ending of its own but the end of the body.

Text is passed on as the JSON literal it came as.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from riverrun.dialects.blame import malformed, unfinished
from riverrun.dialects.endings import reason_of, unreadable
from riverrun.dialects.gemini_beside import Counter, citations, tokens
from riverrun.dialects.gemini_calls import CallReader
from riverrun.dialects.gemini_events import Candidate, LogprobsResult, Part, Response, response, responses
from riverrun.dialects.gemini_failure import stream_failure
from riverrun.dialects.gemini_turns import SIGNED, signer
from riverrun.dialects.literals import text
from riverrun.dialects.rows import Row
from riverrun.routing.target import Target
from riverrun.stream.ask import Ask
from riverrun.stream.deltas import Delta, Finish, FinishReason, Open, Reasoning, Signature, Text
from riverrun.wire.sse import Event

QUOTE = 0x22
NO_TEXT = len(b'""')
CUT = frozenset({"length", "content_filter"})
"""Endings that may come in the middle of a call."""


class _Choice:
    """What is known of one candidate. `said` is its text so far, for the places of its sources."""

    __slots__ = ("calls", "finished", "number", "said")

    def __init__(self, ask_id: str, number: int) -> None:
        self.number = number  # ours
        self.calls = CallReader(ask_id, number)
        self.said: list[bytes] = []
        self.finished = False


class GeminiReader:
    """One answer. `done` once the body has ended and every candidate that was asked for has its finish reason."""

    __slots__ = ("_choices", "_counter", "_logprobs", "_most", "_opened", "_row", "_target", "done")

    def __init__(self, ask: Ask, target: Target, row: Row) -> None:
        self.done = False
        self._target = target
        self._row = row
        self._choices = [_Choice(ask.id, number) for number in ask.choices]
        self._opened = False
        self._logprobs = bool(ask.chat.request.logprobs)
        self._most = ask.chat.request.top_logprobs or 0
        self._counter = Counter()

    def read(self, event: Event) -> list[Delta]:
        """The deltas of one event. Raises Failure for an error inside the stream, or a malformed event."""
        data = event.data
        if self.done:
            return []
        try:
            return self._deltas(response(data), data)
        except (ValueError, RecursionError) as error:
            if not data.strip():
                return []
            unreadable(error)

    def whole(self, body: bytes) -> list[Delta]:
        """The deltas of an answer in one piece: a response, or the list of them that a stream without SSE is."""
        try:
            parsed = responses(body) if body.lstrip()[:1] == b"[" else [response(body)]
            deltas = [delta for each in parsed for delta in self._deltas(each, body)]
        except (ValueError, RecursionError) as error:
            unreadable(error)
        return deltas + self.finish()

    def finish(self) -> list[Delta]:
        """At the end of the body. Raises Failure where a candidate has no finish reason."""
        for choice in self._choices:
            if not choice.finished:
                raise unfinished(self._target, choice.number)
        self.done = True
        return []

    def _deltas(self, parsed: Response, data: bytes) -> list[Delta]:
        """A text with nothing beside it, and counts, are what nearly every event holds: for them, no more is called.

        An absent field is an empty Raw, which is false.
        """
        out: list[Delta] = []
        if parsed.error or not self._opened:
            self._opening(parsed, data, out)
        for sent in parsed.candidates or ():
            if not 0 <= sent.index < len(self._choices):
                malformed(f"it sent candidate {sent.index}, and {len(self._choices)} were asked for")
            choice = self._choices[sent.index]
            parts: Sequence[Part] = (sent.content and sent.content.parts) or ()
            if self._logprobs and sent.logprobs_result is not None:
                self._probable(choice, parts, sent.logprobs_result, out)
                parts = ()
            for part in parts:
                words = bytes(part.text)
                if (
                    part.thought
                    or part.thought_signature
                    or part.function_call is not None
                    or part.inline_data
                    or len(words) <= NO_TEXT
                    or words[0] != QUOTE
                    or not words.isascii()
                ):
                    self._part(choice, part, None, out)
                else:
                    choice.said.append(words)
                    out.append(Text(choice.number, words))
            if sent.grounding_metadata is not None or sent.finish_reason:
                self._ending(choice, sent, out)
        if parsed.prompt_feedback is not None:
            self._blocked(parsed, out)
        if parsed.usage_metadata is not None and (usage := self._counter.usage(parsed.usage_metadata)) is not None:
            out.append(usage)
        return out

    def _opening(self, parsed: Response, data: bytes, out: list[Delta]) -> None:
        """An error; or who answers, from the first event."""
        if parsed.error:
            raise stream_failure(data, self._target)
        self._opened = True
        out.append(Open(self._choices[0].number, parsed.model_version or None))

    def _probable(self, choice: _Choice, parts: Sequence[Part], result: LogprobsResult, out: list[Delta]) -> None:
        """Parts whose token probabilities came with them: the first text says them, or an empty one."""
        found = tokens(result, self._most)
        for part in parts:
            if self._part(choice, part, found, out):
                found = None
        if found is not None:
            out.append(Text(choice.number, b'""', found))

    def _ending(self, choice: _Choice, sent: Candidate, out: list[Delta]) -> None:
        if sent.grounding_metadata is not None:
            out += citations(choice.number, sent.grounding_metadata, choice.said)
        if sent.finish_reason:
            self._finished(choice, reason_of(sent.finish_reason, self._row, self._target), out)

    def _blocked(self, parsed: Response, out: list[Delta]) -> None:
        """The prompt was refused: there is no candidate, and the filter ended each one."""
        if parsed.prompt_feedback is not None and parsed.prompt_feedback.block_reason and not parsed.candidates:
            for choice in self._choices:
                self._finished(choice, "content_filter", out)

    def _part(self, choice: _Choice, part: Part, found: bytes | None, out: list[Delta]) -> bool:
        """Adds a part's deltas, and says whether it was text."""
        if part.inline_data:
            malformed("it holds a picture or a sound, and text was asked for")
        words = text(part.text)
        id = choice.calls.read(part.function_call, out) if part.function_call is not None else None
        if words is not None and part.thought:
            out.append(Reasoning(choice.number, words))
        elif words is not None:
            choice.said.append(words)
            out.append(Text(choice.number, words, found))
        if part.thought_signature:
            out.append(Signature(choice.number, self._signature(part.thought_signature, id)))
        return words is not None and not part.thought

    def _signature(self, data: str, id: str | None) -> bytes:
        signed = {"type": SIGNED, "data": data, "format": signer(self._row)}
        return msgspec.json.encode({**signed, "id": id} if id is not None else signed)

    def _finished(self, choice: _Choice, reason: FinishReason, out: list[Delta]) -> None:
        if choice.finished:
            return
        if choice.calls.open and reason not in CUT:
            malformed("it ends in the middle of a function call")
        choice.finished = True
        out.append(Finish(choice.number, reason))
