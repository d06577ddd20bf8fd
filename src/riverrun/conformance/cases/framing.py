"""F: how events are framed. Judged on lines and bytes, before any JSON is looked at."""

from __future__ import annotations

import json
from collections.abc import Iterator

from riverrun.conformance import needs
from riverrun.conformance.lines import Frame, endings
from riverrun.conformance.reading import Reading, maybe_parsed
from riverrun.conformance.rules import Fault, at, rule

PY = "openai-python and all that build on it (LangChain, LlamaIndex, LiteLLM, pydantic-ai)"
KNOWN_FIELDS = {b"", b"data", b"event", b"id", b"retry"}
CLOSE_WITHIN = 1.0  # seconds after [DONE]
FAST_CHUNK = 0.00025  # seconds; chunks that come closer than this were held back and let go together


def media_type(reading: Reading) -> tuple[str, str]:
    """The type and the charset of the answer, in lower case."""
    kind, _, rest = reading.capture.header("content-type").lower().partition(";")
    charset = next(
        (part.split("=")[1].strip(' "') for part in rest.split(";") if part.strip().startswith("charset=")), ""
    )
    return kind.strip(), charset


@rule(
    "F1", "must", "Content-Type is text/event-stream; charset absent or utf-8.", needs.stream_asked, needs.headers,
    source="recordings, WHATWG", breaks="browser EventSource",
)  # fmt: skip
def event_stream_type(reading: Reading) -> Iterator[Fault]:
    kind, charset = media_type(reading)
    if kind != "text/event-stream" or charset not in ("", "utf-8"):
        sent = reading.capture.header("content-type")
        yield Fault(f"content-type is {sent!r}", f"content-type: {sent}".encode())


@rule(
    "F2", "must", "A 200 answer to stream:true is never application/json.", needs.stream_asked,
    source="SDK sources", entails="F1 E1",
    breaks="openai-python, openai-node (no chunk, no error); LangChain, AI SDK (error)",
)  # fmt: skip
def never_json(reading: Reading) -> Iterator[Fault]:
    if media_type(reading)[0] == "application/json" or reading.whole:
        yield Fault("a stream was asked for and one JSON object came", reading.bytes)


@rule(
    "F3", "should", "Each event is one data: field and a blank line, its JSON on a single line.", needs.stream,
    source="recordings", breaks="home-made readers that split lines",
)  # fmt: skip
def one_data_line(reading: Reading) -> Iterator[Fault]:
    for frame in reading.frames:
        if len(frame.values(b"data")) > 1:
            yield at(frame, f"the event has {len(frame.values(b'data'))} data lines")


@rule(
    "F4", "must", "Every dispatched event has data, and it is a JSON object or [DONE].", needs.stream,
    source="SDK sources", breaks=f"{PY}, openai-node: a JSON error kills the stream; AI SDK on an empty data:",
)  # fmt: skip
def has_data(reading: Reading) -> Iterator[Fault]:
    for frame in reading.frames:
        if frame.closed and not frame.data and (frame.has(b"event") or frame.has(b"data")):
            yield at(frame, "the event has no data")
    for frame in reading.malformed:
        if frame.closed:
            yield at(frame, "the event's data is not a JSON object")


@rule(
    "F5", "must", "No lone retry: block: it stands in the block of a data event.", needs.stream,
    source="SDK sources", breaks=PY,
)  # fmt: skip
def no_lone_retry(reading: Reading) -> Iterator[Fault]:
    for frame in reading.frames:
        if frame.has(b"retry") and not frame.data:
            yield at(frame, "retry: stands alone")


@rule(
    "F6", "must",
    "Once an id: line was sent, no blank line follows a block without data: a heartbeat ends with one newline.",
    needs.stream, source="SDK sources", breaks=PY,
)  # fmt: skip
def no_empty_block_after_id(reading: Reading) -> Iterator[Fault]:
    numbered = False
    for frame in reading.frames:
        numbered = numbered or frame.has(b"id")
        other_rules = frame.has(b"retry") or frame.has(b"event") or frame.has(b"data")
        if numbered and frame.closed and not other_rules:
            yield at(frame, "a block without data ends with a blank line, after an id: was sent")


@rule(
    "F7", "should", "A keep-alive is a comment (`: x`); without id: lines its block may stand anywhere.", needs.stream,
    source="WHATWG, recordings", breaks="home-made readers",
)  # fmt: skip
def keepalives_are_comments(reading: Reading) -> Iterator[Fault]:
    for frame in reading.frames:
        for name, _ in frame.fields:
            if name not in KNOWN_FIELDS and frame.closed:
                yield at(frame, f"{name!r} is neither a field of event streams nor a comment")


@rule(
    "F8", "must", "No byte order mark.", needs.stream, source="WHATWG strips one", breaks=f"{PY} lose the first chunk"
)
def no_bom(reading: Reading) -> Iterator[Fault]:
    if reading.bom:
        yield Fault("the body starts with a byte order mark", reading.capture.body[:40])


@rule("F9", "should", "One style of line endings.", needs.stream, source="recordings", breaks="")
def one_ending(reading: Reading) -> Iterator[Fault]:
    found = endings(reading.bytes)
    if len(found) > 1:
        rare = min(found, key=reading.bytes.count)
        where = reading.bytes.find(rare)
        start = max(0, where - 40)
        seen = f"lines end in {' and '.join(sorted(map(repr, found)))}"
        yield Fault(seen, reading.bytes[start : where + len(rare)], start)


@rule(
    "F10", "must", "The last event, [DONE] included, ends with a blank line.", needs.stream, needs.ended,
    source="recordings", breaks=f"{PY} drop it; AI SDK fails",
)  # fmt: skip
def last_is_closed(reading: Reading) -> Iterator[Fault]:
    last = reading.frames[-1]
    if not last.closed and last.data and last not in reading.malformed:
        yield at(last, "the body ends before the last event's blank line")


@rule(
    "F11", "must", "The terminator is exactly `data: [DONE]`.", needs.stream, needs.done, source="recordings",
    breaks="quoted: openai-python, LangChain, LlamaIndex, LiteLLM, pydantic-ai, openai-node .stream(), AI SDK; "
    "trailing space: openai-node, AI SDK",
)  # fmt: skip
def exact_done(reading: Reading) -> Iterator[Fault]:
    for frame in reading.dones:
        if b"data: [DONE]" not in frame.raw.splitlines():
            yield at(frame, "the terminator is spelled differently")


def finished(reading: Reading) -> str:
    """All choices are finished, so that [DONE] is due."""
    if reason := needs.healthy(reading):
        return reason
    unfinished = [str(index) for index in range(reading.n) if not reading.finish(index)]
    return "" if not unfinished or reading.dones else f"the stream broke off in choice {', '.join(unfinished)}"


@rule(
    "F12", "must", "Exactly one [DONE], last, and the body is closed at once after it.", needs.stream, finished,
    source="recordings", breaks="AI SDK appends what follows as text; async openai-python waits",
)  # fmt: skip
def one_done_last(reading: Reading) -> Iterator[Fault]:
    if not reading.dones:
        yield at(reading.frames[-1], "the body ends without [DONE]")
        return
    done = reading.dones[0]
    for frame in reading.frames[done.number + 1 :]:
        yield at(frame, "bytes follow [DONE]")
    closed, said = reading.capture.ended_at, reading.arrival(done.end - 1)
    if closed is not None and closed - said > CLOSE_WITHIN:
        yield at(done, f"the body stayed open for {closed - said:.1f} s after [DONE]")


def encodable(frame: Frame) -> bool:
    """Whether the bytes are UTF-8."""
    try:
        frame.raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


@rule(
    "F13", "must", "The stream is UTF-8, and no code point was replaced by U+FFFD.", needs.stream, source="WHATWG",
    breaks="all: the text is lost",
)  # fmt: skip
def whole_code_points(reading: Reading) -> Iterator[Fault]:
    wanted = "\ufffd" in json.dumps(reading.asked, ensure_ascii=False)
    for frame in reading.frames:
        if frame.closed and not encodable(frame):
            yield at(frame, "the event is not UTF-8")
        elif not wanted and "\ufffd" in json.dumps(maybe_parsed(frame.data), ensure_ascii=False):
            yield at(frame, "a character was replaced by U+FFFD")


@rule(
    "F14", "must", "No delta ends inside a code point or between the halves of a surrogate pair.", needs.stream,
    source="RFC 8259", breaks="all Python clients: UnicodeEncodeError when the text is stored",
)  # fmt: skip
def no_half_pairs(reading: Reading) -> Iterator[Fault]:
    for step in reading.steps:
        written = json.dumps(step.delta, ensure_ascii=False)
        if any("\ud800" <= letter <= "\udfff" for letter in written):
            yield at(step.frame, "a delta holds half of a surrogate pair")


@rule(
    "F16", "should", "No event: field in a chat stream (errors may use `event: error`).", needs.stream,
    source="recordings", breaks="names that begin with `thread.` are special in openai-python",
)  # fmt: skip
def no_event_names(reading: Reading) -> Iterator[Fault]:
    errors = {chunk.frame for chunk in reading.errors}
    for frame in reading.frames:
        if frame.data and frame.has(b"event") and frame not in errors:
            yield at(frame, "the event has a name")


def paced(reading: Reading) -> str:
    """The stream is long and slow enough to see whether it was held back."""
    if reading.capture.header("content-encoding") not in ("", "identity"):
        return ""
    if len(reading.steps) < 16:
        return "the stream is too short to tell"
    return "" if reading.arrival(len(reading.bytes)) >= 0.5 else "the stream is too fast to tell"


@rule(
    "F17", "should", "First bytes are flushed before generation ends: no buffering, no compression.", needs.stream,
    paced,
    source="practice", breaks="everyone waits for the whole answer",
)  # fmt: skip
def flushed(reading: Reading) -> Iterator[Fault]:
    encoding = reading.capture.header("content-encoding")
    if encoding not in ("", "identity"):
        yield Fault(f"the stream is compressed ({encoding})", f"content-encoding: {encoding}".encode())
        return
    first, last = (reading.arrival(reading.steps[place].frame.start) for place in (0, -1))
    if last - first < FAST_CHUNK * len(reading.steps):
        yield at(
            reading.steps[0].frame,
            f"{len(reading.steps)} chunks came at once, {first:.2f} s after the request was sent",
        )


RULES = (
    event_stream_type, never_json, one_data_line, has_data, no_lone_retry, no_empty_block_after_id,
    keepalives_are_comments, no_bom, one_ending, last_is_closed, exact_done, one_done_last, whole_code_points,
    no_half_pairs, no_event_names, flushed,
)  # fmt: skip
