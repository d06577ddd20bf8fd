"""What a scripted upstream says: one answer, and one tool call, as the bytes of a Chat Completions stream.

An upstream that is given the start of the answer says the rest of it, so that a continued answer can be compared.
"""

from __future__ import annotations

import json
import re

from tests.upstreams import LAST_CHUNK, How, Play, Step, chunk, head, sse

ANSWER = "The naïve 川 runs 😀 on."
NAME, ARGUMENTS = "get_weather", '{"city": "Köln 😀", "days": [1, 2]}'


def payload(delta: dict[str, object] | None = None, *, finish: str | None = None, **top: object) -> bytes:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    event = {"id": "u-1", "model": "theirs", "choices": [choice]}
    return json.dumps({**event, **top}, ensure_ascii=False, separators=(",", ":")).encode()


def error(code: str, message: str = "It failed.", kind: str = "server_error") -> bytes:
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}}).encode()


OPENER = payload({"role": "assistant", "content": ""})
FINISH = payload(finish="stop")
USAGE = payload(choices=[], usage={"prompt_tokens": 5, "completion_tokens": 9, "total_tokens": 14})
DONE = b"[DONE]"
END = (FINISH, USAGE, DONE)


def words(text: str = ANSWER) -> list[bytes]:
    """One payload a word."""
    return [payload({"content": word}) for word in re.findall(r"\s*\S+", text)]


def answer(so_far: str = "") -> list[bytes]:
    """The payloads of the rest of the answer. One that is told something else than its start begins anew."""
    return [OPENER, *words(ANSWER.removeprefix(so_far)), *END]


def call() -> list[bytes]:
    """The payloads of a tool call, its arguments in pieces."""
    function = {"index": 0, "id": "call_1", "type": "function", "function": {"name": NAME, "arguments": ""}}
    pieces = [ARGUMENTS[at : at + 6] for at in range(0, len(ARGUMENTS), 6)]
    return [
        payload({"role": "assistant", "content": None, "tool_calls": [function]}),
        *(payload({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}) for piece in pieces),
        payload(finish="tool_calls"),
        USAGE,
        DONE,
    ]


def streamed(*steps: bytes | float, whole: bool = True, end: How = "keep") -> Play:
    """A chunked event stream: bytes are the body's, one HTTP chunk each. Without `whole` the last chunk is missing."""
    said: list[Step] = [step if isinstance(step, float) else chunk(step) for step in steps]
    return Play((head(), *said, *((LAST_CHUNK,) if whole else ())), end)


def played(payloads: list[bytes], *, whole: bool = True, end: How = "keep") -> Play:
    """A stream of these payloads, one event each."""
    return streamed(*(sse(each) for each in payloads), whole=whole, end=end)
