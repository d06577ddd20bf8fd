"""E: how a failure is told, before the first byte and after it."""

from __future__ import annotations

from collections.abc import Iterator

from riverrun.conformance import needs
from riverrun.conformance.cases.framing import media_type
from riverrun.conformance.reading import Object, Reading, mapping
from riverrun.conformance.rules import Fault, at, rule

LONGEST_WAIT = 120  # seconds; openai-python refuses to wait longer
BUSY = (429, 503)


def early(reading: Reading) -> str:
    """A failure came before any content, on a stream."""
    if not reading.streamed:
        return "no stream was asked for"
    if reading.capture.status >= 400 or reading.whole.get("error"):
        return ""
    first = reading.errors[0].frame.number if reading.errors else -1
    said = any(chunk.frame.number < first for chunk in reading.chunks)
    return "" if reading.errors and not said else "no failure came before the first token"


@rule(
    "E1", "must",
    "What is known before the first token is an HTTP 4xx or 5xx JSON error, for streams too; none has an SSE body.",
    early, source="recordings", breaks="openai-python and AI SDK lose the message of an SSE body",
)  # fmt: skip
def early_is_http(reading: Reading) -> Iterator[Fault]:
    body = reading.bytes
    if reading.capture.status >= 400:
        if media_type(reading)[0] == "text/event-stream" or body.startswith((b"data:", b"event:", b":")):
            yield Fault(f"the body of the {reading.capture.status} is an event stream", body)
        return
    if reading.whole:
        yield Fault("an error came with status 200", body)
        return
    frame = reading.errors[0].frame
    kept_alive = any(b"" in dict(other.fields) for other in reading.frames[: frame.number + 1])
    if not kept_alive:
        yield at(frame, "a stream with status 200 begins with an error, and no heartbeat explains why")


def wrong_error(body: Object) -> Iterator[str]:
    """What is wrong with the error object of a body."""
    error = body.get("error")
    if not isinstance(error, dict):
        yield f"error is {error!r}, not an object"
        return
    if not isinstance(error.get("message"), str):
        yield f"error.message is {error.get('message')!r}"
    if not isinstance(error.get("code"), str | None):
        yield f"error.code is {error.get('code')!r}"


def some_error(reading: Reading) -> str:
    """An error came, by HTTP or inside the stream."""
    return needs.failed(reading) and needs.error_event(reading)


def lost(reading: Reading) -> bool:
    """Whether it is a status whose body E8 judges, and no JSON."""
    return not reading.whole and (reading.capture.status in (404, 405) or reading.capture.status >= 500)


@rule(
    "E2", "must", "An error object has a string message; its code is a string or null.", some_error, source="OpenAPI",
    breaks="AI SDK and openai-python lose the message",
)  # fmt: skip
def error_object(reading: Reading) -> Iterator[Fault]:
    sse = reading.bytes.startswith((b"data:", b"event:", b":"))
    if reading.capture.status >= 400 and not lost(reading) and not sse:
        for wrong in wrong_error(reading.whole):
            yield Fault(wrong, reading.bytes)
    for chunk in reading.errors:
        if "error" in chunk.body:  # a bare `event: error` is E3's
            for wrong in wrong_error(chunk.body):
                yield at(chunk.frame, wrong)


@rule(
    "E3", "must",
    'An error after the first byte is `data: {"error": {message, type, param, code}}`; nothing but [DONE] follows it.',
    needs.stream, needs.error_event, source="SDK sources",
    breaks="a bare `event: error` is ignored by openai-python, LangChain, LiteLLM, pydantic-ai",
)  # fmt: skip
def error_frame(reading: Reading) -> Iterator[Fault]:
    first = reading.errors[0]
    if "error" not in first.body:
        yield at(first.frame, "the error event has no error object")
    missing = [name for name in ("type", "param", "code") if name not in mapping(first.body.get("error"))]
    if missing and isinstance(first.body.get("error"), dict):
        yield at(first.frame, f"the error has no {missing[0]}")
    for chunk in (*reading.chunks, *reading.errors[1:]):
        if chunk.frame.number > first.frame.number:
            yield at(chunk.frame, "the stream goes on after its error")


def torn(reading: Reading) -> bool:
    """Whether the body ends inside an event."""
    last = reading.frames[-1]
    return not last.closed and last in reading.malformed


def broke_off(reading: Reading) -> str:
    """The stream is over and failed: with an error, a cut connection, or an end without [DONE]."""
    if reading.dones and not reading.errors:
        return "the stream has its [DONE]"
    return needs.ended(reading) if reading.capture.ended != "cut" else ""


def silent(reading: Reading) -> bool:
    """Whether nothing in the body or its end tells that the stream failed."""
    return reading.over and not reading.errors


@rule(
    "E4", "must", "A failed stream never ends cleanly without a finish_reason or an error.", needs.stream, broke_off,
    source="probes",
    breaks="openai-python, openai-node, LangChain, LlamaIndex, LiteLLM, pydantic-ai take it as a success",
)  # fmt: skip
def no_false_ending(reading: Reading) -> Iterator[Fault]:
    unfinished = [index for index in range(reading.n) if not reading.finish(index)]
    if unfinished and silent(reading) and not torn(reading):
        yield at(reading.frames[-1], f"the body ends cleanly, and choice {unfinished[0]} is not finished")


@rule(
    "E5", "must", "Where no error event is possible, the connection is aborted: no clean end inside an event.",
    needs.stream,
    broke_off, source="probes", breaks="openai-python, openai-node take it as a success", entails="F12",
)  # fmt: skip
def abort_when_torn(reading: Reading) -> Iterator[Fault]:
    if silent(reading) and torn(reading):
        yield at(reading.frames[-1], "the body ends cleanly inside an event")


@rule(
    "E6", "should", 'An error comes without a finish_reason, and no finish_reason is "error".', needs.stream,
    source="openai types", breaks="LiteLLM maps it to stop; strict openai-python",
)  # fmt: skip
def no_error_finish(reading: Reading) -> Iterator[Fault]:
    for step in reading.steps:
        if step.choice.get("finish_reason") == "error":
            yield at(step.frame, 'finish_reason is "error"')
    for chunk in reading.errors:
        if b'"finish_reason"' in chunk.frame.raw:
            yield at(chunk.frame, "the error comes with a finish_reason")


@rule(
    "E7", "should", "429 and 503 have Retry-After of at most 120 s; permanent failures are not x-should-retry: true.",
    needs.failed, needs.headers, source="SDK sources", breaks="openai-python and openai-node wait blindly",
)  # fmt: skip
def retry_headers(reading: Reading) -> Iterator[Fault]:
    capture = reading.capture
    wait = capture.header("retry-after")
    if capture.status in BUSY and not wait and not capture.header("retry-after-ms"):
        yield Fault(f"a {capture.status} has no Retry-After")
    if wait.isdigit() and int(wait) > LONGEST_WAIT:
        yield Fault(f"Retry-After is {wait} s", f"retry-after: {wait}".encode())
    if capture.status in (400, 401, 403, 404, 422) and capture.header("x-should-retry") == "true":
        yield Fault(f"a {capture.status} says x-should-retry: true", b"x-should-retry: true")


def lost_or_found(reading: Reading) -> str:
    """The answer is a 404, a 405 or a 5xx."""
    status = reading.capture.status
    return "" if status in (404, 405) or status >= 500 else "no 404, 405 or 5xx came"


@rule(
    "E8", "must", "The bodies of 5xx and 404 are JSON errors too, that of an unknown route included.", lost_or_found,
    source="public issues", breaks="all SDKs lose the message",
)  # fmt: skip
def json_everywhere(reading: Reading) -> Iterator[Fault]:
    if lost(reading) and not reading.bytes.startswith((b"data:", b"event:")):
        yield Fault(f"the body of the {reading.capture.status} is not JSON", reading.bytes)


RULES = (
    early_is_http, error_object, error_frame, no_false_ending, abort_when_torn, no_error_finish, retry_headers,
    json_everywhere,
)  # fmt: skip
