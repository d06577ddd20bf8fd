"""Answers of Cohere of our own making, after its documentation (docs.cohere.com: streaming, tool use, reasoning)."""

from __future__ import annotations

import json
from typing import Any


def event(type: str, message: dict[str, Any] | None = None, index: int | None = None, **delta: Any) -> dict[str, Any]:
    inside = {**({"message": message} if message is not None else {}), **delta}
    return {"type": type, **({"index": index} if index is not None else {}), **({"delta": inside} if inside else {})}


def content(index: int = 0, type: str = "content-delta", **block: str) -> dict[str, Any]:
    return event(type, {"content": block}, index)


def call(index: int, arguments: str, **opening: Any) -> dict[str, Any]:
    named = {"id": opening["id"], "type": "function"} if opening else {}
    function = {**({"name": opening["name"]} if opening else {}), "arguments": arguments}
    return event(
        "tool-call-start" if opening else "tool-call-delta", {"tool_calls": {**named, "function": function}}, index
    )


def citation(start: int, end: int, *sources: dict[str, Any], type: str | None = "TEXT_CONTENT") -> dict[str, Any]:
    cited = {"start": start, "end": end, "text": "…", "sources": list(sources), "type": type, "content_index": 0}
    return event("citation-start", {"citations": cited}, 0)


USAGE = {
    "billed_units": {"input_tokens": 5.0, "output_tokens": 9.0},
    "tokens": {"input_tokens": 71.0, "output_tokens": 418.0},
    "cached_tokens": 16,
}
START = {"id": "29f14a5a", "type": "message-start", "delta": {"message": {"role": "assistant", "content": []}}}


def end(reason: str = "COMPLETE", **more: Any) -> dict[str, Any]:
    return event("message-end", finish_reason=reason, usage=USAGE, **more)


def stream(*events: dict[str, Any]) -> bytes:
    return b"".join(
        f"event: {each['type']}\ndata: {json.dumps(each, ensure_ascii=False)}\n\n".encode() for each in events
    )


OWN = stream(
    START,
    content(type="content-start", thinking=""),
    content(thinking="Die Quellen "),
    content(thinking="sagen: süß."),
    event("content-end", index=0),
    content(1, "content-start", text=""),
    content(1, text="The tallest "),
    content(1, text="penguins 🐧 are in Antarctica."),
    event("content-end", index=1),
    citation(0, 11, {"type": "document", "id": "doc:0", "document": {"title": "Tall", "url": "https://x.test/a"}}),
    event("citation-end", index=0),
    citation(12, 20, {"type": "tool", "id": "weather:0", "tool_output": {"a": 1}}),
    citation(0, 3, {"type": "document", "id": "doc:1"}, type="THINKING_CONTENT"),
    event("debug", prompt="…"),
    end(),
)

CALLS = stream(
    START,
    event("tool-plan-delta", {"tool_plan": "I will look "}),
    event("tool-plan-delta", {"tool_plan": "up the weather."}),
    call(0, "", id="weather_1", name="weather"),
    call(0, '{"city": "Zü'),
    call(0, 'rich"}'),
    event("tool-call-end", index=0),
    call(1, "", id="weather_2", name="weather"),
    call(1, '{"city": "Bern"}'),
    event("tool-call-end", index=1),
    end("TOOL_CALL"),
)
