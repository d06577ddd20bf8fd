"""What the model itself said, as an upstream takes it back: its earlier thoughts, and the start of a broken answer."""

from __future__ import annotations

from collections.abc import Sequence

from riverrun.dialects.rows import Prefill, Thought
from riverrun.failures import Cause, Failure
from riverrun.wire.jsonvalue import JsonValue

Body = dict[str, JsonValue]

TEXTS: tuple[Thought, ...] = ("reasoning_content", "reasoning")
FIELDS: tuple[Thought, ...] = (*TEXTS, "reasoning_details")

MARKS: dict[Prefill, tuple[Body, Body]] = {
    "plain": ({}, {}),
    "prefix": ({"prefix": True}, {}),
    "partial": ({"partial": True}, {}),
    "continue_final_message": ({}, {"continue_final_message": True, "add_generation_prompt": False}),
}
"""What says that the last message is to be gone on with: members of that message, and of the request."""


def taken_back(message: Body, named: Sequence[Thought]) -> Body:
    """An assistant message with its thoughts in the fields that the upstream reads, and in no other."""
    text = next((message[name] for name in TEXTS if message.get(name)), None)
    out = {name: value for name, value in message.items() if name not in FIELDS}
    if text is not None and (field := next((name for name in named if name in TEXTS), None)):
        out[field] = text
    details = message.get("reasoning_details")
    if "reasoning_details" in named and isinstance(details, list) and details:
        out["reasoning_details"] = _with_text(details, text)
    return out


def _with_text(details: list[JsonValue], text: JsonValue) -> list[JsonValue]:
    """A signature holds for the text that it signed, which reaches our callers in a field of its own."""
    signed = [detail for detail in details if isinstance(detail, dict) and detail.get("signature")]
    if text is None or not signed or signed[0].get("text"):
        return details
    return [{**signed[0], "text": text} if detail is signed[0] else detail for detail in details]


def go_on(body: Body, words: str, way: Prefill) -> None:
    """Puts the start of the answer last in the conversation. Raises Failure for an upstream that would refuse it."""
    if way not in MARKS:
        raise Failure(Cause.INTERNAL, "An answer was to be gone on with by an upstream that can't do that.")
    of_message, of_request = MARKS[way]
    messages = body["messages"]
    assert isinstance(messages, list)  # the typed request says so
    body["messages"] = [*messages, {"role": "assistant", "content": words, **of_message}]
    body.update(of_request)
