"""Streams written by hand after the official documents, and the small tools that the mutations use on them."""

from __future__ import annotations

import json
from collections.abc import Iterable

from riverrun.conformance import Capture
from riverrun.wire.jsonvalue import JsonValue

Object = dict[str, JsonValue]
IDENTITY: Object = {
    "id": "chatcmpl-C4kqT2wV9hYbN7sLr0mXeJdZaPuF3",
    "object": "chat.completion.chunk",
    "created": 1790000000,
    "model": "gpt-4o-2024-08-06",
    "service_tier": "default",
    "system_fingerprint": "fp_4f1c2d3e5a",
}
SSE = (("content-type", "text/event-stream; charset=utf-8"),)
WORDS = ("Hello", " there", ", how", " are", " you", "?")
ASK: Object = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
WITH_USAGE: Object = {**ASK, "stream_options": {"include_usage": True}}


def chunk(*choices: Object, usage: JsonValue = None, asked: bool = True, **more: JsonValue) -> Object:
    """One chunk; `asked` says whether usage was asked for."""
    return {**IDENTITY, "choices": list(choices), **({"usage": usage} if asked else {}), **more, "obfuscation": "xY3"}


def choice(delta: JsonValue, index: int = 0, finish: JsonValue = None, logprobs: JsonValue = None) -> Object:
    """One choice of a chunk."""
    return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}


def say(delta: JsonValue, index: int = 0, **more: JsonValue) -> Object:
    """A chunk with one delta; more keys go to the top level."""
    return {**chunk(choice(delta, index)), **more}


def end(reason: str, index: int = 0) -> Object:
    """A finish chunk."""
    return chunk(choice({}, index, reason))


def counted(prompt: int = 9, completion: int = 7) -> Object:
    """The usage chunk."""
    usage: JsonValue = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
    return chunk(usage=usage)


ERROR: Object = {"message": "Cut.", "type": "upstream_error", "param": None, "code": None}
OPENING: Object = {"role": "assistant", "content": "", "refusal": None}
CALLING: Object = {"role": "assistant", "content": None}


def opened(index: int, call_id: str, name: str) -> Object:
    """The opening fragment of a tool call."""
    return {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}


def fragment(index: int, arguments: JsonValue) -> Object:
    """A later fragment."""
    return {"index": index, "function": {"arguments": arguments}}


def fragments(*items: Object) -> Object:
    """A chunk with one delta of tool calls."""
    return say({"tool_calls": list(items)})


def text(words: Iterable[str] = WORDS) -> list[Object]:
    """One choice of text, with usage."""
    return [say(OPENING), *(say({"content": word}) for word in words), end("stop"), counted()]


def calls() -> list[Object]:
    """Two tool calls, as gpt-4o streams parallel ones."""
    return [
        say(CALLING),
        fragments(opened(0, "call_a", "get_weather")),
        fragments(fragment(0, '{"city":')),
        fragments(fragment(0, '"Paris"}')),
        fragments(opened(1, "call_b", "get_time")),
        fragments(fragment(1, "{}")),
        end("tool_calls"),
        counted(),
    ]


def three() -> list[Object]:
    """n = 3: the choices open in order and then take turns."""
    opening = [part for index in range(3) for part in (say(OPENING, index), say({"content": "One"}, index))]
    going_on = [say({"content": f" and {word}"}, index) for word in ("two", "three") for index in range(3)]
    return [*opening, *going_on, *(end("stop", index) for index in (1, 0, 2)), counted(9, 12)]


def token(word: str) -> Object:
    """A token's logprob with one alternative."""
    spelled: JsonValue = list(word.encode())
    best: Object = {"token": word, "logprob": -0.25, "bytes": spelled}
    return {**best, "top_logprobs": [best]}


def logprobs(words: Iterable[str] = WORDS) -> list[Object]:
    """Text with logprobs: [] on the role chunk, null on the finish chunk."""
    said = [chunk(choice({"content": word}, 0, None, {"content": [token(word)], "refusal": None})) for word in words]
    return [chunk(choice(OPENING, 0, None, {"content": [], "refusal": None})), *said, end("stop"), counted()]


LOGPROBS_ASK: Object = {**WITH_USAGE, "logprobs": True, "top_logprobs": 1}
TOOLS_ASK: Object = {**WITH_USAGE, "tools": [{"type": "function", "function": {"name": "get_weather"}}]}


def rendered(chunks: Iterable[Object], tail: bytes = b"data: [DONE]\n\n") -> bytes:
    """The bytes of a stream, as compact as the real ones."""
    return b"".join(event(one) for one in chunks) + tail


def event(payload: JsonValue) -> bytes:
    """One event of a stream."""
    return b"data: %b\n\n" % json.dumps(payload, separators=(",", ":")).encode()


def captured(
    stream: bytes | Iterable[Object],
    asked: Object | None = None,
    *,
    status: int = 200,
    headers: tuple[tuple[str, str], ...] = SSE,
    blocks: tuple[tuple[float, bytes], ...] = (),
    ended_at: float | None = 0.05,
    exchange: str = "",
) -> Capture:
    """A capture of a stream that ended by itself, all in one block unless blocks are given."""
    body = stream if isinstance(stream, bytes) else rendered(stream)
    return Capture(
        request=json.dumps(WITH_USAGE if asked is None else asked).encode(),
        status=status,
        headers=headers,
        blocks=blocks or ((0.05, body),),
        ended="complete",
        ended_at=ended_at,
        exchange=exchange,
    )


def whole(*, content: str = "".join(WORDS), finish: str = "stop", completion: int = 7) -> Capture:
    """The whole answer to the same request as `text`."""
    message: JsonValue = {"role": "assistant", "content": content, "refusal": None, "annotations": []}
    body: JsonValue = {
        **IDENTITY,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": {"prompt_tokens": 9, "completion_tokens": completion, "total_tokens": 9 + completion},
    }
    asked = {key: value for key, value in WITH_USAGE.items() if key not in ("stream", "stream_options")}
    return Capture(
        request=json.dumps(asked).encode(),
        headers=(("content-type", "application/json"),),
        blocks=((0.05, json.dumps(body).encode()),),
        ended="complete",
    )


def healthy() -> dict[str, Capture]:
    """What the recordings do not contain, after the official documents. Every rule holds in all of them."""
    no_usage = [{key: value for key, value in one.items() if key != "usage"} for one in text()[:-1]]
    refusal = [say({"role": "assistant", "content": None, "refusal": ""})]
    refusal += [say({"refusal": word}) for word in ("I'm", " sorry", ".")]
    moderation: JsonValue = {"type": "moderation_results", "model": "omni-moderation-latest", "results": []}
    audio = [
        say({"role": "assistant", "content": None, "refusal": None, "audio": {"id": "audio_1"}}),
        say({"audio": {"transcript": "Hel"}}),
        say({"audio": {"data": "AAAA"}}),
        say({"audio": {"transcript": "lo"}}),
        chunk({"index": 0, "delta": {"audio": {"expires_at": 1790003600}}}),
        end("stop"),
        counted(),
    ]
    legacy = [say({"role": "assistant", "content": None, "function_call": {"name": "get_weather", "arguments": ""}})]
    legacy += [say({"function_call": {"arguments": '{"city":"Rome"}'}}), end("function_call"), counted()]
    custom: Object = {"index": 0, "id": "call_c", "type": "custom", "custom": {"name": "sql", "input": ""}}
    customs = [say(CALLING), fragments(custom), fragments({"index": 0, "custom": {"input": "SELECT 1"}})]
    audio_ask: Object = {**WITH_USAGE, "modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "pcm16"}}
    return {
        "text": captured(text()),
        "two calls": captured(calls(), TOOLS_ASK),
        "n = 3": captured(three(), {**WITH_USAGE, "n": 3}),
        "logprobs": captured(logprobs(), LOGPROBS_ASK),
        "length": captured([*text()[:-2], end("length"), counted(9, 8)], {**WITH_USAGE, "max_tokens": 8}),
        "refusal": captured([*refusal, end("stop"), counted()]),
        "no include_usage": captured(no_usage, ASK),
        "audio": captured(audio, audio_ask),
        "moderation": captured(
            [*text(), chunk(moderation={"input": moderation, "output": moderation})],
            {**WITH_USAGE, "moderation": {"model": "omni-moderation-latest"}},
        ),
        "call cut by length": captured([*calls()[:3], end("length"), counted()], TOOLS_ASK),
        "second call cut by length": captured([*calls()[:5], end("length"), counted()], TOOLS_ASK),
        "legacy function call": captured(legacy),
        "custom tool": captured(
            [*customs, end("tool_calls"), counted()], {**WITH_USAGE, "tools": [{"type": "custom"}]}
        ),
        "emoji": captured(text(["👩‍👩‍👧‍👦", "漢字", "🙂"])),
        "stop sequence": captured(text(), {**WITH_USAGE, "stop": ["!", "Bye"]}),
        "numbered, with heartbeats": captured(
            b"".join(b": hb\nid: %d\n%b" % (n, event(one)) for n, one in enumerate(text(), 1))
            + b"id: 9\ndata: [DONE]\n\n"
        ),
        "comments as blocks": captured(b": PROCESSING\n\n: PROCESSING\n\n" + rendered(text())),
        "crlf": captured(rendered(text()).replace(b"\n", b"\r\n")),
        "an error in the middle": captured(rendered(text()[:3], event({"error": ERROR}))),
        "same as whole": captured(text()),
    }
