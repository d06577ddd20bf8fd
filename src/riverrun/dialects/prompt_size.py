"""Prompts that are too long whatever they say: known from their bytes, before anybody counts their tokens."""

from __future__ import annotations

from collections.abc import Iterator

from riverrun.failures import Cause, Failure
from riverrun.wire.jsonvalue import JsonValue


def refuse_hopeless(messages: JsonValue, longest_token: int, context: int | None) -> None:
    """Raises Failure (400) where the texts can't fit `context` tokens even if each token had `longest_token` bytes.

    The wording is the official one, which many agents read with a pattern. 0 and None stand for not known.
    """
    if not longest_token or context is None:
        return
    least = -(-sum(_bytes(text) for text in _texts(messages)) // longest_token)
    if least > context:
        raise Failure(
            Cause.CONTEXT_TOO_LONG,
            f"This model's maximum context length is {context} tokens. However, your messages resulted in at least "
            f"{least} tokens. Please reduce the length of the messages.",
            param="messages",
        )


def _texts(messages: JsonValue) -> Iterator[str]:
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(content, str):
            yield content
        for part in content if isinstance(content, list) else ():
            text = part.get("text") if isinstance(part, dict) else None
            if isinstance(text, str):
                yield text


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
