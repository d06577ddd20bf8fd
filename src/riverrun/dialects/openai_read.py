"""An OpenAI-like answer, event by event, as deltas. It knows the vendors' quirks; the grammar is the assembler's.

Text is passed on as the JSON literal it came as: it is checked to be UTF-8 and not decoded.
"""

from __future__ import annotations

from typing import NoReturn, cast

import msgspec
from msgspec import Raw

from riverrun.dialects.openai_calls import CallReader
from riverrun.dialects.openai_events import (
    ChoicePart,
    Detail,
    FirstPart,
    Part,
    Said,
    details,
    first_part,
    part,
    present,
    spoken,
)
from riverrun.dialects.openai_failure import stream_failure
from riverrun.dialects.openai_logprobs import Spelling, trimmed
from riverrun.dialects.openai_usage import usage_of
from riverrun.dialects.rows import Row
from riverrun.dialects.surrogates import LoneSurrogate, Surrogates
from riverrun.failures import Cause, Failure
from riverrun.routing.target import Target
from riverrun.stream.ask import Ask
from riverrun.stream.deltas import (
    FINISH_REASONS,
    Annotation,
    Audio,
    Delta,
    Finish,
    FinishReason,
    Open,
    Reasoning,
    Refusal,
    Signature,
    Text,
)
from riverrun.wire.sse import Event

DONE = b"[DONE]"
QUOTE = 0x22
EMPTY = frozenset({b"", b"null", b'""'})
NO_TOKENS: tuple[bytes | None, bytes | None] = (None, None)
NO_ERROR = frozenset({b"", b"null", b"false", b'""', b"{}"})


LONGEST_NO_USAGE = len(b"null")
"""Bytes. Counts that say anything are longer."""


class _Choice:
    """What is known of one of the upstream's choices."""

    __slots__ = ("_calls", "_spelling", "ask_id", "finished", "number")

    def __init__(self, ask_id: str, number: int) -> None:
        self.ask_id = ask_id
        self.number = number  # ours
        self.finished = False
        self._calls: CallReader | None = None
        self._spelling: Spelling | None = None

    @property
    def calls(self) -> CallReader:
        if self._calls is None:
            self._calls = CallReader(self.ask_id, self.number)
        return self._calls

    @property
    def spelling(self) -> Spelling:
        if self._spelling is None:
            self._spelling = Spelling()
        return self._spelling

    def finish(self) -> None:
        """Raises Failure for a call that never got a name."""
        self.finished = True
        if self._calls is not None:
            self._calls.close()


class OpenAIReader:
    """One answer. `done` once every choice has its finish_reason and the terminator came; what follows is ignored."""

    __slots__ = (
        "_choices", "_logprobs", "_most", "_opened", "_plain", "_row", "_surrogates", "_target",
        "_unfinished", "done",
    )  # fmt: skip

    def __init__(self, ask: Ask, target: Target, row: Row) -> None:
        self.done = False
        self._target = target
        self._row = row
        self._choices = [_Choice(ask.id, number) for number in ask.choices]
        self._unfinished = len(self._choices)
        self._opened = False
        self._logprobs = bool(ask.chat.request.logprobs)
        self._most = ask.chat.request.top_logprobs or 0
        self._surrogates = Surrogates()
        self._plain = False  # nothing that came before makes the next event a special one

    def read(self, event: Event) -> list[Delta]:
        """The deltas of one event. Raises Failure for an error inside the stream, or a malformed event."""
        if not self._plain or event.name:
            return self._read(event)
        try:
            parsed = part(event.data)
        except (msgspec.DecodeError, RecursionError):
            return self._read(event)
        text = self._text(parsed)
        return self._deltas(parsed, event.data) if text is None else [text]

    def _text(self, parsed: Part) -> Text | Reasoning | None:
        """What nearly every event of every stream is: a text or a thought of one choice, and nothing else beside it.

        This takes half the time of the general way (an absent field is an empty Raw, which is false).
        """
        choices = parsed.choices
        if choices is None or len(choices) != 1 or parsed.error or len(parsed.usage) > LONGEST_NO_USAGE:
            return None
        choice = choices[0]
        said = choice.delta
        if said is None or choice.finish_reason or parsed.x_groq is not None or _says_more(said):
            return None
        literal = bytes(said.content)
        kind: type[Text | Reasoning] = Text
        if said.reasoning_content or said.reasoning:
            literal, kind = _one_alone(literal, said)
        if len(literal) < 3 or literal[0] != QUOTE or not 0 <= choice.index < len(self._choices):
            return None
        return kind(self._choices[choice.index].number, literal) if literal.isascii() or _is_utf8(literal) else None

    def _read(self, event: Event) -> list[Delta]:
        deltas = self._any(event)
        special = self.done or self._unfinished < 1 or self._logprobs or self._surrogates.held
        self._plain = self._opened and not special
        return deltas

    def _any(self, event: Event) -> list[Delta]:
        """The general way, which knows every event."""
        data = event.data
        if self.done:
            return []
        if event.name == b"error":
            raise stream_failure(data, self._target)
        if data[:1] != b"{":
            stripped = data.strip()
            if not stripped:
                return []
            if stripped == DONE:
                return self._terminated()
        return self._deltas(self._parsed(data), data)

    def whole(self, body: bytes) -> list[Delta]:
        """The deltas of an answer that came as one JSON object. Raises Failure where it is an error, or incomplete."""
        deltas = self._deltas(self._parsed(body), body)
        return deltas + self._terminated()

    def finish(self) -> list[Delta]:
        """At the end of the body. Raises Failure where a choice has no finish_reason, or half a character is left."""
        if self._surrogates.held and not self.done:
            _malformed("it ends with half a character")
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

    def _parsed(self, data: bytes) -> Part:
        try:
            if not self._surrogates.held:
                return part(data) if self._opened else first_part(data)
        except RecursionError:
            _malformed("an event is nested too deep")
        except msgspec.DecodeError:
            pass  # msgspec refuses half a surrogate pair, which is not an error yet
        try:
            mended = self._surrogates.mended(data)
            return part(mended) if self._opened else first_part(mended)
        except LoneSurrogate as error:
            _malformed(str(error))
        except (ValueError, RecursionError, OverflowError):
            _malformed("an event is not the JSON that it should be")

    def _deltas(self, parsed: Part, data: bytes) -> list[Delta]:
        if parsed.error and bytes(parsed.error) not in NO_ERROR:
            raise stream_failure(data, self._target)
        out: list[Delta] = []
        if not self._opened:
            self._open(cast(FirstPart, parsed), out)
        for choice in parsed.choices or ():
            self._choice(choice, out)
        if len(parsed.usage) > LONGEST_NO_USAGE or parsed.x_groq is not None:
            usage = usage_of(parsed.usage) or (usage_of(parsed.x_groq.usage) if parsed.x_groq is not None else None)
            out += [usage] if usage is not None else []
        return out

    def _open(self, parsed: FirstPart, out: list[Delta]) -> None:
        """Who answers, from the first chunk that has a choice (Azure's first has none, and an empty model)."""
        if parsed.choices:
            self._opened = True
            row = self._row
            model = parsed.model if row.model == "reported" else None
            fingerprint = parsed.system_fingerprint if row.fingerprint == "reported" else None
            out.append(Open(self._choices[0].number, model or None, fingerprint or None, parsed.service_tier or None))

    def _choice(self, sent: ChoicePart, out: list[Delta]) -> None:
        if not 0 <= sent.index < len(self._choices):
            _malformed(f"it sent choice {sent.index}, and {len(self._choices)} were asked for")
        choice = self._choices[sent.index]
        said = sent.delta or sent.message
        try:
            if said is not None:
                self._said(choice, said, sent.logprobs, out)
        except (msgspec.DecodeError, UnicodeDecodeError):
            _malformed("a field of a choice is not what it should be")
        if sent.finish_reason:
            self._finished(choice, sent.finish_reason, out)

    def _said(self, choice: _Choice, said: Said, logprobs: Raw, out: list[Delta]) -> None:
        """An absent field is an empty Raw, which is false: that keeps the hot path short."""
        tokens = self._tokens(choice, said, logprobs) if self._logprobs else NO_TOKENS
        number = choice.number
        if said.reasoning_content or said.reasoning or said.reasoning_details:
            _reasoning(number, said, out)
        if said.content or tokens[0] is not None:
            _content(number, said.content, tokens[0], out)
        if said.refusal or tokens[1] is not None:
            refusal = bytes(said.refusal)
            if refusal not in EMPTY or tokens[1] is not None:
                out.append(Refusal(number, _literal(refusal), tokens[1]))
        if said.tool_calls:
            out += choice.calls.fragments(said.tool_calls)
        if said.function_call is not None:
            out += choice.calls.legacy(said.function_call)
        if said.annotations or said.audio:
            _beside(number, said, out)

    def _tokens(self, choice: _Choice, said: Said, logprobs: Raw) -> tuple[bytes | None, bytes | None]:
        if self._row.logprobs == "unspoken":
            return choice.spelling.spelled(logprobs, self._most, said.content)
        return trimmed(logprobs, self._most)

    def _finished(self, choice: _Choice, word: str, out: list[Delta]) -> None:
        if choice.finished:
            return  # OpenRouter says it twice
        reason = word if word in FINISH_REASONS else self._row.finish_reasons.get(word)
        if reason == "error":
            raise Failure(Cause.UPSTREAM_ERROR, f"The upstream of '{self._target.name}' failed while it answered.")
        if reason is None:
            _malformed(f"its finish_reason {word[:40]!r} is not one of the API's")
        choice.finish()
        self._unfinished -= 1
        self._plain = False
        out.append(Finish(choice.number, cast(FinishReason, reason)))


def _reasoning(number: int, said: Said, out: list[Delta]) -> None:
    """Two names for the same text, and a third form; a vendor that sends several sends the same in each."""
    texts = (bytes(raw) for raw in (said.reasoning_content, said.reasoning))
    text = next((literal for literal in texts if literal not in EMPTY), None)
    if text is not None:
        out.append(Reasoning(number, _literal(text)))
    for detail in details(said.reasoning_details) if present(said.reasoning_details) else ():
        if text is None and (told := _detail(detail)) not in EMPTY:
            out.append(Reasoning(number, _literal(told)))
        out += _sealed(number, detail)


def _sealed(number: int, detail: Detail) -> list[Delta]:
    """What of a thought only its provider can read."""
    seals = {name: raw for name in ("signature", "data") if bytes(raw := getattr(detail, name)) not in EMPTY}
    if not seals:
        return []
    names = {"type": detail.type, "id": detail.id, "format": detail.format}
    kept = {name: value for name, value in names.items() if value is not None}
    return [Signature(number, _utf8(msgspec.json.encode({**kept, **seals})))]


def _content(number: int, raw: Raw, tokens: bytes | None, out: list[Delta]) -> None:
    content = bytes(raw)
    if content[:1] == b"[":
        for thought, each in spoken(raw):
            out.append(Reasoning(number, _literal(bytes(each))) if thought else Text(number, _literal(bytes(each))))
    elif content not in EMPTY or tokens is not None:
        out.append(Text(number, _literal(content), tokens))


def _beside(number: int, said: Said, out: list[Delta]) -> None:
    """What stands beside the text: annotations, and sound. (Snowflake sends sound with nothing in it.)"""
    if present(said.annotations):
        out += _annotations(number, said.annotations)
    if present(said.audio) and any(msgspec.json.decode(said.audio, type=dict[str, object]).values()):
        out.append(Audio(number, _utf8(bytes(said.audio))))


def _says_more(said: Said) -> bool:
    """Whether a delta holds anything beside its content and its thoughts."""
    return bool(
        said.reasoning_details
        or said.refusal
        or said.tool_calls
        or said.function_call is not None
        or said.annotations
        or said.audio
    )


def _one_alone(content: bytes, said: Said) -> tuple[bytes, type[Text | Reasoning]]:
    """The only one of a delta's content and thought that says something; nothing where both do."""
    told = (bytes(raw) for raw in (said.reasoning_content, said.reasoning))
    thoughts = [literal for literal in told if literal not in EMPTY]
    if not thoughts:
        return content, Text
    return (thoughts[0], Reasoning) if content in EMPTY else (b"", Text)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _literal(text: bytes) -> bytes:
    """A JSON string literal of valid UTF-8. An absent one, which stands beside logprobs, is the empty string."""
    if text in EMPTY:
        return b'""'
    if text[0] != QUOTE:
        _malformed("a text is not a string")
    return _utf8(text)


def _utf8(raw: bytes) -> bytes:
    """msgspec has checked the JSON and its escapes, but lets invalid UTF-8 through. Raises UnicodeDecodeError."""
    if not raw.isascii():
        raw.decode()
    return raw


def _detail(detail: Detail) -> bytes:
    return bytes(detail.text) or bytes(detail.summary)


def _annotations(number: int, raw: Raw) -> list[Delta]:
    values = msgspec.json.decode(raw, type=list[dict[str, object]])
    return [
        Annotation(number, msgspec.json.encode({name: value for name, value in each.items() if name != "index"}))
        for each in values
    ]


def _malformed(what: str) -> NoReturn:
    raise Failure(Cause.UPSTREAM_MALFORMED, f"The upstream's answer could not be understood: {what}.")
