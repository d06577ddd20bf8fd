"""Answers of Ollama's own API of our own making, after its documentation (docs.ollama.com/api: chat, streaming)."""

from __future__ import annotations

import json
from typing import Any


def line(message: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": "", **(message or {})}
    return {"model": "qwen3", "created_at": "2026-11-22T10:00:00.5Z", "message": said, "done": False, **more}


def last(reason: str | None = "stop", **more: Any) -> dict[str, Any]:
    counts: dict[str, Any] = {"total_duration": 5191566416, "prompt_eval_count": 26, "eval_count": 298}
    ending: dict[str, Any] = {"done_reason": reason} if reason else {}
    return line(done=True, **ending, **counts, **more)


def call(name: str, arguments: Any, **more: Any) -> dict[str, Any]:
    return {"tool_calls": [{**more, "function": {"index": 0, "name": name, "arguments": arguments}}]}


def stream(*lines: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(each, ensure_ascii=False).encode() + b"\n" for each in lines)


OWN = stream(
    line({"thinking": "The user "}),
    line({"thinking": "wants the weather."}),
    line({"content": "Einen Moment, "}),
    line({"content": "süß 😀"}),
    line(call("weather", {"city": "Zürich", "days": 2}, id="call_1")),
    line(call("clock", {})),
    last(),
)
