"""What a delta of an OpenAI-like answer may hold: its texts and thoughts, and what stands beside them.

One event and one choice at a time; what must be known of the events before is `openai_read`'s.
"""

from __future__ import annotations

from typing import NoReturn

import msgspec
from msgspec import Raw

from riverrun.dialects.openai_events import Detail, Said, details, present, spoken
from riverrun.failures import Cause, Failure
from riverrun.stream.deltas import Annotation, Audio, Delta, Reasoning, Refusal, Signature, Text

QUOTE = 0x22
EMPTY = frozenset({b"", b"null", b'""'})


def reasoning(number: int, said: Said, out: list[Delta]) -> None:
    """Two names for the same text, and a third form; a vendor that sends several sends the same in each."""
    text = bytes(said.reasoning_content)
    if text in EMPTY:
        text = bytes(said.reasoning)
    if text not in EMPTY:
        out.append(Reasoning(number, _literal(text)))
    for detail in details(said.reasoning_details) if present(said.reasoning_details) else ():
        if text in EMPTY and (told := _detail(detail)) not in EMPTY:
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


def content(number: int, raw: Raw, tokens: bytes | None, out: list[Delta]) -> None:
    content = bytes(raw)
    if content[:1] == b"[":
        for thought, each in spoken(raw):
            out.append(Reasoning(number, _literal(bytes(each))) if thought else Text(number, _literal(bytes(each))))
    elif content not in EMPTY or tokens is not None:
        out.append(Text(number, _literal(content), tokens))


def refused(number: int, raw: Raw, tokens: bytes | None, out: list[Delta]) -> None:
    refusal = bytes(raw)
    if refusal not in EMPTY or tokens is not None:
        out.append(Refusal(number, _literal(refusal), tokens))


def beside(number: int, said: Said, out: list[Delta]) -> None:
    """What stands beside the text: annotations, and sound. (Snowflake sends sound with nothing in it.)"""
    if present(said.annotations):
        out += _annotations(number, said.annotations)
    if present(said.audio) and any(msgspec.json.decode(said.audio, type=dict[str, object]).values()):
        out.append(Audio(number, _utf8(bytes(said.audio))))


def _literal(text: bytes) -> bytes:
    """A JSON string literal of valid UTF-8. An absent one, which stands beside logprobs, is the empty string."""
    if text in EMPTY:
        return b'""'
    if text[0] != QUOTE:
        malformed("a text is not a string")
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


def malformed(what: str) -> NoReturn:
    raise Failure(Cause.UPSTREAM_MALFORMED, f"The upstream's answer could not be understood: {what}.")
