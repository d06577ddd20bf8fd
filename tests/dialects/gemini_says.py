"""Answers of Gemini of our own making, in the form of its documentation."""

from __future__ import annotations

import json
from typing import Any

CALL = {"functionCall": {"name": "f", "args": {"city": "Zürich"}}, "thoughtSignature": "c2ln"}


def event(*parts: dict[str, Any], finish: str | None = None, index: int = 0, **top: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": [*parts], "role": "model"}, "index": index}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "modelVersion": "gemini-x", **top}


def stream(*events: dict[str, Any]) -> bytes:
    return b"".join(f"data: {json.dumps(each, ensure_ascii=False)}\r\n\r\n".encode() for each in events)


OWN = stream(
    event({"text": "Let me see.", "thought": True}),
    event({"text": "Grüße "}, usageMetadata={"promptTokenCount": 3}),
    event({"text": "😀"}),
    event(CALL),
    event({"text": ""}, finish="STOP", usageMetadata={"promptTokenCount": 3, "candidatesTokenCount": 9}),
)
