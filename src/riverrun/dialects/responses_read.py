"""A Responses answer, event by event, as deltas. The grammar is the assembler's.

Text is passed on as the JSON literal it came as: it is checked to be UTF-8 and not decoded. Only a response that says
how it ended is one: `[DONE]` and the end of the body are no ending here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, TypeVar

import msgspec
from msgspec import Raw

from riverrun.dialects.openai_failure import stream_failure
from riverrun.dialects.openai_logprobs import trimmed
from riverrun.dialects.responses_events import (
    Content,
    Item,
    Response,
    StreamEvent,
    annotation_of,
    contents,
    event,
    response,
    usage_of,
)
from riverrun.dialects.responses_input import ENCRYPTED, FORMAT
from riverrun.dialects.rows import Row
from riverrun.dialects.surrogates import LoneSurrogate, Surrogates
from riverrun.failures import Cause, Failure
from riverrun.routing.target import Target
from riverrun.stream.ask import Ask
from riverrun.stream.deltas import (
    Annotation,
    Delta,
    Finish,
    FinishReason,
    Open,
    Reasoning,
    Refusal,
    Signature,
    Text,
    ToolArgs,
    ToolOpen,
)
from riverrun.wire.sse import Event

Found = TypeVar("Found")

EMPTY = frozenset({b"", b"null", b'""'})
INCOMPLETE: dict[str, FinishReason] = {
    "max_output_tokens": "length",
    "max_messages": "length",
    "content_filter": "content_filter",
}
"""What an incomplete response says of itself, as a finish_reason."""

BETWEEN = b'"\\n\\n"'
"""Between two parts of a summary, which are paragraphs."""


class ResponsesReader:
    """One answer, which is one choice. `done` once the response was completed or incomplete; the rest is ignored."""

    def __init__(self, ask: Ask, target: Target, row: Row) -> None:
        self.done = False
        self._choice = ask.choices[0]
        self._target = target
        self._row = row
        self._calls: dict[int, bool] = {}  # by their place in the output: whether arguments have come
        self._opened = False
        self._logprobs = bool(ask.chat.request.logprobs)
        self._most = ask.chat.request.top_logprobs or 0
        self._surrogates = Surrogates()
        self._out: list[Delta] = []

    def read(self, event: Event) -> list[Delta]:
        """The deltas of one event. Raises Failure for an error inside the stream, or a malformed event."""
        data = event.data
        if self.done or data[:1] != b"{":
            return []  # an imitator's [DONE]
        sent = self._parsed(data)
        if sent.type == "error" or event.name == b"error":
            raise stream_failure(data, self._target)
        return self._collected(lambda: STEPS.get(sent.type, ResponsesReader._nothing)(self, sent))

    def whole(self, body: bytes) -> list[Delta]:
        """The deltas of an answer that came as one JSON object. Raises Failure where it is an error, or unfinished."""
        try:
            answer = response(body)
        except (msgspec.DecodeError, RecursionError):
            _malformed("it is not the JSON that it should be")
        if answer.status is None and bytes(answer.error) not in EMPTY:
            raise stream_failure(body, self._target)
        return self._collected(lambda: self._answer(answer))

    def finish(self) -> list[Delta]:
        """At the end of the body. Raises Failure where the response did not say how it ended."""
        if not self.done:
            raise Failure(
                Cause.UPSTREAM_INTERRUPTED,
                f"The upstream of '{self._target.name}' ended its answer before it was complete.",
            )
        return []

    def _parsed(self, data: bytes) -> StreamEvent:
        try:
            if not self._surrogates.held:
                return event(data)
        except RecursionError:
            _malformed("an event is nested too deep")
        except msgspec.DecodeError:
            pass  # msgspec refuses half a surrogate pair, which is not an error yet
        try:
            return event(self._surrogates.mended(data))
        except LoneSurrogate as error:
            _malformed(str(error))
        except (ValueError, RecursionError, OverflowError):
            _malformed("an event is not the JSON that it should be")

    def _collected(self, step: Callable[[], None]) -> list[Delta]:
        self._out = []
        try:
            step()
        except UnicodeDecodeError:
            _malformed("a text is not valid UTF-8")
        except msgspec.DecodeError:
            _malformed("an event is not the JSON that it should be")
        return self._out

    # One step per kind of event. Each appends its deltas to `_out`.

    def _nothing(self, sent: StreamEvent) -> None:
        """Progress, what was said already, and what the provider did by itself."""

    def _created(self, sent: StreamEvent) -> None:
        self._open(_present(sent.response))

    def _added(self, sent: StreamEvent) -> None:
        item = _present(sent.item)
        if item.type == "function_call":
            self._call(sent.output_index, item)
        elif item.type == "custom_tool_call":
            _malformed("it calls a custom tool, and none was offered")

    def _item_done(self, sent: StreamEvent) -> None:
        item = _present(sent.item)
        if item.type == "function_call":
            self._call(sent.output_index, item)
        elif item.type == "reasoning":
            self._thought(item)

    def _text(self, sent: StreamEvent) -> None:
        self._say(sent.delta, sent.logprobs)

    def _refusal(self, sent: StreamEvent) -> None:
        if (literal := _literal(sent.delta)) not in EMPTY:
            self._out.append(Refusal(self._choice, literal))

    def _reasoning(self, sent: StreamEvent) -> None:
        if (literal := _literal(sent.delta)) not in EMPTY:
            self._out.append(Reasoning(self._choice, literal))

    def _summary_part(self, sent: StreamEvent) -> None:
        if sent.summary_index:
            self._out.append(Reasoning(self._choice, BETWEEN))

    def _arguments(self, sent: StreamEvent) -> None:
        self._argue(sent.output_index, sent.delta)

    def _arguments_done(self, sent: StreamEvent) -> None:
        if not self._calls.get(sent.output_index):
            self._argue(sent.output_index, sent.arguments)

    def _annotation(self, sent: StreamEvent) -> None:
        if bytes(sent.annotation) not in EMPTY:
            self._out.append(Annotation(self._choice, annotation_of(sent.annotation)))

    def _ended(self, sent: StreamEvent) -> None:
        if self._surrogates.held:
            _malformed("it ends with half a character")
        self._end(_present(sent.response))

    # What the events and a whole answer have in common.

    def _open(self, answer: Response) -> None:
        if not self._opened:
            self._opened = True
            model = answer.model if self._row.model == "reported" else None
            tier = answer.service_tier if answer.service_tier != "auto" else None  # what was asked, not what is given
            self._out.append(Open(self._choice, model or None, None, tier))

    def _answer(self, answer: Response) -> None:
        self._open(answer)
        for place, item in enumerate(answer.output or ()):
            if item.type == "function_call":
                self._call(place, item)
            elif item.type == "message":
                for content in contents(item.content):
                    self._content(content)
            elif item.type == "reasoning":
                texts = contents(item.summary) + contents(item.content)
                for number, content in enumerate(texts):
                    self._out += [Reasoning(self._choice, BETWEEN)] if number else []
                    self._out.append(Reasoning(self._choice, _literal(content.text)))
                self._thought(item)
        self._end(answer)

    def _content(self, content: Content) -> None:
        if content.type == "refusal":
            self._out.append(Refusal(self._choice, _literal(content.refusal)))
        elif content.type == "output_text":
            self._say(content.text, content.logprobs)
            self._out += [Annotation(self._choice, annotation_of(each)) for each in content.annotations or ()]

    def _say(self, text: Raw, logprobs: Raw) -> None:
        tokens = None
        if self._logprobs and bytes(logprobs) not in EMPTY:
            tokens = trimmed(Raw(b'{"content":%b}' % bytes(logprobs)), self._most)[0]
        literal = _literal(text)
        if literal not in EMPTY or tokens is not None:
            self._out.append(Text(self._choice, literal, tokens))

    def _thought(self, item: Item) -> None:
        """A thought that only its provider can read; without it, the next turn would have to be thought anew."""
        if bytes(item.encrypted_content) in EMPTY:
            return
        detail = {"type": ENCRYPTED, "id": item.id, "data": item.encrypted_content, "format": FORMAT}
        self._out.append(Signature(self._choice, msgspec.json.encode(detail)))

    def _call(self, place: int, item: Item) -> None:
        if place not in self._calls:
            if not item.name or not item.call_id:
                _malformed("it holds a tool call without a name or an id")
            self._calls[place] = False
            self._out.append(ToolOpen(self._choice, place, item.call_id, item.name))
        if not self._calls[place]:
            self._argue(place, item.arguments)

    def _argue(self, place: int, arguments: Raw) -> None:
        if place not in self._calls:
            _malformed("it sent arguments of a tool call that it had not opened")
        if (literal := _literal(arguments)) not in EMPTY:
            self._calls[place] = True
            self._out.append(ToolArgs(self._choice, place, literal))

    def _end(self, answer: Response) -> None:
        """How it ended. Raises Failure for every ending that is none of a good answer's."""
        if answer.status == "failed":
            raise stream_failure(b'{"error":%b}' % (bytes(answer.error) or b"null"), self._target)
        reason: FinishReason | None = None
        if answer.status == "completed":
            reason = "tool_calls" if self._calls else "stop"
        elif answer.status == "incomplete":
            details = answer.incomplete_details
            reason = INCOMPLETE.get((details.reason if details is not None else None) or "")
        if reason is None:
            _malformed(f"its status {str(answer.status)[:40]!r} is no ending that is known")
        if answer.usage is not None:
            self._out.append(usage_of(answer.usage))
        self._out.append(Finish(self._choice, reason))
        self.done = True


STEPS: dict[str, Callable[[ResponsesReader, StreamEvent], None]] = {
    "response.created": ResponsesReader._created,
    "response.output_item.added": ResponsesReader._added,
    "response.output_item.done": ResponsesReader._item_done,
    "response.output_text.delta": ResponsesReader._text,
    "response.output_text.annotation.added": ResponsesReader._annotation,
    "response.refusal.delta": ResponsesReader._refusal,
    "response.reasoning_summary_part.added": ResponsesReader._summary_part,
    "response.reasoning_summary_text.delta": ResponsesReader._reasoning,
    "response.reasoning_text.delta": ResponsesReader._reasoning,
    "response.function_call_arguments.delta": ResponsesReader._arguments,
    "response.function_call_arguments.done": ResponsesReader._arguments_done,
    "response.completed": ResponsesReader._ended,
    "response.incomplete": ResponsesReader._ended,
    "response.failed": ResponsesReader._ended,
    "response.cancelled": ResponsesReader._ended,
}
"""Every other event is progress, or repeats what was said, and gives nothing."""


def _literal(raw: Raw) -> bytes:
    """A JSON string literal of valid UTF-8; an absent one is the empty string. Raises UnicodeDecodeError."""
    literal = bytes(raw)
    if literal in EMPTY:
        return b'""'
    if literal[0] != 0x22:
        _malformed("a text is not a string")
    if not literal.isascii():
        literal.decode()  # msgspec has checked the JSON and its escapes, but lets invalid UTF-8 through
    return literal


def _present(found: Found | None) -> Found:
    if found is None:
        _malformed("an event lacks what its type promises")
    return found


def _malformed(what: str) -> NoReturn:
    raise Failure(Cause.UPSTREAM_MALFORMED, f"The upstream's answer could not be understood: {what}.")
