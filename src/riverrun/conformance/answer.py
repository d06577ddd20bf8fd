"""What an answer says, whether it came as chunks or whole: the judge's own fold, kept apart from the product's."""

from __future__ import annotations

import msgspec

from riverrun.conformance.reading import Object, Reading, Step, items, mapping, text
from riverrun.wire.jsonvalue import JsonValue

COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


class Said(msgspec.Struct, frozen=True):
    """One choice. Calls are (name, arguments), `ids` are theirs; `tokens` is None without logprobs."""

    role: str
    content: str
    refusal: str
    calls: tuple[tuple[str, str], ...]
    ids: tuple[str, ...]
    finish: str
    tokens: tuple[str, ...] | None


ANEW = frozenset({"ids"})
"""Fields that are made up anew for each answer, so that two answers to one request differ in them."""


class Answer(msgspec.Struct, frozen=True):
    """All choices by index, and the three counts of usage (empty when none came)."""

    choices: dict[int, Said]
    usage: tuple[JsonValue, ...]


def counts(usage: JsonValue) -> tuple[JsonValue, ...]:
    """The counts that two answers to one request share; details such as cached tokens may differ."""
    return tuple(mapping(usage).get(name) for name in COUNTS) if usage else ()


def answer(reading: Reading) -> Answer:
    """The answer in a reading."""
    return of_whole(reading.whole) if reading.whole else of_stream(reading)


def of_whole(body: Object) -> Answer:
    """A chat.completion."""
    choices: dict[int, Said] = {}
    for place, item in enumerate(items(body.get("choices"))):
        choice, message = mapping(item), mapping(mapping(item).get("message"))
        calls = [mapping(call) for call in items(message.get("tool_calls"))]
        index = choice.get("index")
        choices[index if isinstance(index, int) else place] = Said(
            text(message.get("role")), text(message.get("content")), text(message.get("refusal")),
            tuple(map(named_call, calls)), tuple(text(call.get("id")) for call in calls),
            text(choice.get("finish_reason")), token_texts([mapping(choice.get("logprobs"))]),
        )  # fmt: skip
    return Answer(choices, counts(body.get("usage")))


def of_stream(reading: Reading) -> Answer:
    """A stream of chunks."""
    usage = next((chunk.body["usage"] for chunk in reading.chunks if chunk.body.get("usage")), None)
    return Answer({index: said(reading.of(index)) for index in reading.indexes}, counts(usage))


def said(steps: list[Step]) -> Said:
    """One choice of a stream."""
    calls = streamed_calls(steps)
    return Said(
        first(steps, "role"), joined(steps, "content"), joined(steps, "refusal"),
        tuple((name, arguments) for name, arguments, _ in calls), tuple(call_id for *_, call_id in calls),
        next((text(step.choice["finish_reason"]) for step in steps if step.choice.get("finish_reason")), ""),
        token_texts([mapping(step.choice.get("logprobs")) for step in steps]),
    )  # fmt: skip


def joined(steps: list[Step], name: str) -> str:
    """The concatenation of one key over all deltas."""
    return "".join(text(step.delta.get(name)) for step in steps)


def first(steps: list[Step], name: str) -> str:
    """What the first delta that has the key says: a role is said once (O2)."""
    return next((text(step.delta[name]) for step in steps if step.delta.get(name)), "")


def named_call(call: Object) -> tuple[str, str]:
    """A whole call's name and arguments, of a function or of a custom tool."""
    function, custom = mapping(call.get("function")), mapping(call.get("custom"))
    return text((function or custom).get("name")), text(function.get("arguments") or custom.get("input"))


def streamed_calls(steps: list[Step]) -> tuple[tuple[str, str, str], ...]:
    """The calls of one choice, by index: name, arguments, id."""
    calls: dict[int, tuple[str, str, str]] = {}
    for step in steps:
        for item in items(step.delta.get("tool_calls")):
            index = mapping(item).get("index")
            key = index if isinstance(index, int) else 0
            held, more = calls.get(key, ("", "", "")), named_call(mapping(item))
            call_id = held[2] or text(mapping(item).get("id"))
            calls[key] = (held[0] or more[0], held[1] + more[1], call_id)  # a name and an id are said once (T3)
    return tuple(calls[key] for key in sorted(calls))


def token_texts(logprobs: list[Object]) -> tuple[str, ...] | None:
    """The tokens that logprobs name; None when there are no logprobs at all."""
    if not any(logprobs):
        return None
    return tuple(text(mapping(item).get("token")) for one in logprobs for item in items(one.get("content")))
