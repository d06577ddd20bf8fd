"""Q: a stream and a whole answer to the same request say the same."""

from __future__ import annotations

import json
from collections.abc import Iterator

from riverrun.conformance import needs
from riverrun.conformance.answer import ANEW, Answer, answer
from riverrun.conformance.reading import Reading
from riverrun.conformance.rules import Fault, rule


def same_request(reading: Reading, streamed: bool) -> list[Reading]:
    """The other answers of the session to the same request, streamed or whole."""
    plain = {key: value for key, value in reading.asked.items() if key not in ("stream", "stream_options")}
    found: list[Reading] = []
    for capture in reading.beside:
        other = Reading(capture)
        body = {key: value for key, value in other.asked.items() if key not in ("stream", "stream_options")}
        answered = bool(other.steps) if streamed else "choices" in other.whole
        if body == plain and capture is not reading.capture and capture.status == 200 and answered:
            found.append(other)
    return found


def words(one: Answer) -> object:
    """What a model chose to say, without what the wire makes of it."""
    return {index: (said.content, said.refusal, said.calls) for index, said in one.choices.items()}


def twin(reading: Reading) -> str:
    """There is a whole answer to compare with, and the model repeats itself."""
    wholes = same_request(reading, streamed=False)
    if not wholes:
        return "the same request was not answered whole"
    mine, whole = words(answer(reading)), words(answer(wholes[0]))
    again = [words(answer(other)) for other in same_request(reading, streamed=True)]
    if mine != whole and mine not in again:
        return "the model answers differently each time, so its answers cannot be compared"
    return ""


@rule(
    "Q1", "must",
    "Folding the chunks gives the whole answer: role, content, refusal, tool calls, finish_reason, usage, logprobs.",
    needs.stream, needs.choices, needs.healthy, twin, source="SDK sources", breaks="whoever switches streaming on",
)  # fmt: skip
def fold_is_whole(reading: Reading) -> Iterator[Fault]:
    mine, whole = answer(reading), answer(same_request(reading, streamed=False)[0])
    for index in sorted(set(mine.choices) | set(whole.choices)):
        one, other = mine.choices.get(index), whole.choices.get(index)
        if one is None or other is None:
            yield Fault(f"choice {index} is only in the {'whole answer' if one is None else 'stream'}")
            continue
        for name in (each for each in one.__struct_fields__ if each not in ANEW):
            streamed, at_once = getattr(one, name), getattr(other, name)
            if streamed != at_once:
                yield Fault(f"choice {index}: {name} is {streamed!r} in the stream and {at_once!r} in the whole answer")
    if mine.usage and whole.usage and mine.usage != whole.usage:
        shown = json.dumps([mine.usage, whole.usage]).encode()
        yield Fault(f"usage is {mine.usage} in the stream and {whole.usage} in the whole answer", shown)


RULES = (fold_is_whole,)
