"""U and L: what was counted, and how probable it was."""

from __future__ import annotations

import json
from collections.abc import Iterator

from riverrun.conformance import needs
from riverrun.conformance.reading import Object, Reading, items, mapping, text, whole_number
from riverrun.conformance.rules import Fault, at, rule
from riverrun.wire.jsonvalue import JsonValue

TOKEN_KEYS = ("token", "logprob", "bytes", "top_logprobs")


def no_usage_asked(reading: Reading) -> str:
    """Usage was not asked for, for sure."""
    if reason := needs.request(reading):
        return reason
    return "usage was asked for" if reading.include_usage else ""


@rule("U1", "must", "Without include_usage no chunk has the usage key.", needs.stream, no_usage_asked, source="OpenAPI")
def no_usage(reading: Reading) -> Iterator[Fault]:
    for chunk in reading.chunks:
        if "usage" in chunk.body:
            yield at(chunk.frame, "usage was not asked for and is there")


@rule(
    "U2", "must", "With include_usage exactly one chunk has usage; its choices are [], and all others say usage: null.",
    needs.stream, needs.usage_asked, needs.chunks, source="OpenAPI, recordings",
    breaks="cumulative usage: LangChain and pydantic-ai add it up",
)  # fmt: skip
def one_usage(reading: Reading) -> Iterator[Fault]:
    with_usage = [chunk for chunk in reading.chunks if chunk.body.get("usage") is not None]
    for chunk in reading.chunks:
        if "usage" not in chunk.body:
            yield at(chunk.frame, "a chunk has no usage key")
    for chunk in with_usage:
        if items(chunk.body.get("choices")):
            yield at(chunk.frame, "the usage comes with choices")
    for chunk in with_usage[1:]:
        yield at(chunk.frame, "usage comes again")
    if not with_usage and reading.dones and not reading.errors:
        yield at(reading.chunks[-1].frame, "usage was asked for and never comes")


def usages(reading: Reading) -> list[JsonValue]:
    """Every usage that came, in the stream or in the whole answer."""
    bodies = [reading.whole, *(chunk.body for chunk in reading.chunks)]
    return [body["usage"] for body in bodies if body.get("usage") is not None]


def usage_came(reading: Reading) -> str:
    """There is a usage to judge."""
    return "" if usages(reading) else "no usage came"


def wrong_counts(usage: Object) -> Iterator[str]:
    """What is wrong with one usage object."""
    counts = {name: usage.get(f"{name}_tokens") for name in ("prompt", "completion", "total")}
    missing = [name for name, count in counts.items() if not whole_number(count)]
    if missing:
        yield f"{missing[0]}_tokens is {counts[missing[0]]!r}"
        return
    prompt, completion, total = (count if isinstance(count, int) else 0 for count in counts.values())
    if prompt + completion != total:
        yield f"{prompt} + {completion} is not {total}"
    parts = {
        "cached_tokens": ("prompt_tokens_details", prompt),
        "reasoning_tokens": ("completion_tokens_details", completion),
    }
    for name, (details, limit) in parts.items():
        part = mapping(usage.get(details)).get(name)
        if isinstance(part, int) and part > limit:
            yield f"{name} is {part}, more than the {limit} that hold it"


@rule(
    "U3", "must", "Usage counts are integers; prompt + completion is total; cached ≤ prompt; reasoning ≤ completion.",
    usage_came, source="OpenAPI, recordings",
    breaks="null counts: pydantic-ai counts 0, AI SDK and LiteLLM a wrong total",
)  # fmt: skip
def counts_add_up(reading: Reading) -> Iterator[Fault]:
    for usage in usages(reading):
        for wrong in wrong_counts(mapping(usage)):
            yield Fault(wrong, json.dumps(usage).encode())


@rule(
    "L1", "must",
    "logprobs is {content, refusal}, one of them null; [] on the role chunk, null on the finish chunk; "
    "every text has its own.",
    needs.stream, needs.logprobs, needs.choices, source="recordings",
)  # fmt: skip
def logprobs_shape(reading: Reading) -> Iterator[Fault]:
    for step in reading.steps:
        logprobs = step.choice.get("logprobs")
        spoken = step.delta.get("content") or step.delta.get("refusal")
        if isinstance(logprobs, dict):
            both = [name for name in ("content", "refusal") if logprobs.get(name) is not None]
            if not {"content", "refusal"} <= set(logprobs) or len(both) > 1:
                yield at(step.frame, f"logprobs has the keys {', '.join(logprobs)}, not null: {', '.join(both)}")
            elif step.choice.get("finish_reason"):
                yield at(step.frame, "the finish chunk has logprobs")
        elif spoken:
            yield at(step.frame, "a delta with text has no logprobs")
        elif step.delta.get("role") and "tool_calls" not in step.delta and any(later(reading, step.index)):
            yield at(step.frame, f"the role chunk's logprobs are {logprobs!r}, not an object with []")


def later(reading: Reading, index: int) -> Iterator[bool]:
    """For each delta of a choice, whether it holds text."""
    return (bool(step.delta.get("content") or step.delta.get("refusal")) for step in reading.of(index))


def tokens(reading: Reading, index: int, kind: str) -> list[Object]:
    """The token entries of one choice, of its content or of its refusal."""
    steps = reading.of(index)
    return [mapping(item) for step in steps for item in items(mapping(step.choice.get("logprobs")).get(kind))]


def spelled(entry: Object) -> bytes:
    """The bytes of a token: its own list of them, else its text."""
    numbers = entry.get("bytes")
    if isinstance(numbers, list):
        return bytes(number for number in numbers if isinstance(number, int) and 0 <= number < 256)
    return text(entry.get("token")).encode("utf-8", "surrogatepass")


@rule(
    "L2", "must", "The tokens' bytes, concatenated, are the content.", needs.stream, needs.logprobs, needs.choices,
    source="recordings", breaks="whoever highlights tokens",
)  # fmt: skip
def tokens_spell_content(reading: Reading) -> Iterator[Fault]:
    for index in reading.indexes:
        for kind in ("content", "refusal"):
            said = "".join(text(step.delta.get(kind)) for step in reading.of(index)).encode("utf-8", "surrogatepass")
            entries = tokens(reading, index, kind)
            joined = b"".join(map(spelled, entries))
            if entries and joined != said:
                yield at(
                    reading.of(index)[-1].frame, f"the tokens of choice {index} say {joined!r}, its {kind} {said!r}"
                )


@rule(
    "L3", "must", "A token has all four keys; logprob ≤ 0; no more top_logprobs than were asked for.", needs.stream,
    needs.logprobs, needs.choices, source="OpenAPI",
)  # fmt: skip
def token_entries(reading: Reading) -> Iterator[Fault]:
    asked = reading.asked.get("top_logprobs") or 0
    for step in reading.steps:
        for kind in ("content", "refusal"):
            for entry in items(mapping(step.choice.get("logprobs")).get(kind)):
                for wrong in wrong_entry(mapping(entry), asked if isinstance(asked, int) else 0, reading.known):
                    yield at(step.frame, wrong)


def wrong_entry(entry: Object, asked: int, known: bool) -> Iterator[str]:
    """What is wrong with one token's entry."""
    missing = [name for name in TOKEN_KEYS if name not in entry]
    if missing:
        yield f"a token has no {missing[0]}"
    logprob = entry.get("logprob")
    if not isinstance(logprob, int | float) or logprob > 0:
        yield f"a token's logprob is {logprob!r}"
    if known and len(items(entry.get("top_logprobs"))) > asked:
        yield f"a token has {len(items(entry.get('top_logprobs')))} top_logprobs, and {asked} were asked for"


RULES = (no_usage, one_usage, counts_add_up, logprobs_shape, tokens_spell_content, token_entries)
