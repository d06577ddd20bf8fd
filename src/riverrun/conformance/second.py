"""A second opinion: what openai-python's own accumulator makes of a stream, beside what our fold makes of it.

Types cannot see ids that change, names that repeat or calls that merge; the client's accumulator shows them. It is
asked only where `openai` can be imported; riverrun does not depend on it.
"""

from __future__ import annotations

from collections.abc import Sequence

from riverrun.conformance.answer import Answer, answer, of_whole
from riverrun.conformance.capture import Capture
from riverrun.conformance.reading import Reading, mapping, parsed


class Differs(Exception):
    """The accumulator failed, or says something else; the message says what."""


def accumulated(reading: Reading) -> Answer:
    """The stream as openai-python folds it. Raises ImportError, and Differs when it cannot fold it."""
    from openai.lib.streaming.chat import ChatCompletionStreamState
    from openai.types.chat import ChatCompletionChunk

    state = ChatCompletionStreamState()
    try:
        for chunk in reading.chunks:
            if chunk.body.get("object") == "chat.completion.chunk":  # it skips all others
                state.handle_chunk(ChatCompletionChunk.construct(None, **chunk.body))
        told = parsed(state.current_completion_snapshot.to_json().encode())
    except (AssertionError, LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise Differs(f"openai-python fails: {type(error).__name__}: {error}") from error
    return of_whole(mapping(told))


def compare(capture: Capture) -> None:
    """Raises Differs when the two folds of a healthy stream are not the same, and ImportError without openai."""
    reading = Reading(capture)
    ours, theirs = answer(reading), accumulated(reading)
    for index in sorted(set(ours.choices) | set(theirs.choices)):
        one, other = ours.choices.get(index), theirs.choices.get(index)
        if one is None or other is None:
            raise Differs(f"choice {index} is only in {'openai-python' if one is None else 'our'} fold")
        for name in one.__struct_fields__:
            if getattr(one, name) != getattr(other, name):
                raise Differs(
                    f"choice {index}: {name} is {getattr(one, name)!r}, and {getattr(other, name)!r} in openai-python"
                )


def opinion(captures: Sequence[Capture]) -> list[str] | None:
    """What differs, one line a stream; None where openai is not installed."""
    lines: list[str] = []
    for capture in captures:
        reading = Reading(capture)
        if not (reading.is_stream and reading.steps and reading.dones) or reading.errors:
            continue
        try:
            compare(capture)
        except Differs as difference:
            lines.append(f"{capture.exchange or 'the stream'}: {difference}")
        except ImportError:
            return None
    return lines
