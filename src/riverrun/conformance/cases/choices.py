"""N: several choices in one stream."""

from __future__ import annotations

from collections.abc import Iterator

from riverrun.conformance import needs
from riverrun.conformance.reading import Reading, items, mapping, whole_number
from riverrun.conformance.rules import Fault, at, rule


@rule(
    "N1", "must", "One choice a chunk.", needs.stream, needs.choices, source="recordings",
    breaks="LangChain, AI SDK, LlamaIndex, pydantic-ai, LiteLLM read choices[0] only",
)  # fmt: skip
def one_choice(reading: Reading) -> Iterator[Fault]:
    for chunk in reading.chunks:
        if len(items(chunk.body.get("choices"))) > 1:
            yield at(chunk.frame, f"the chunk has {len(items(chunk.body.get('choices')))} choices")


@rule(
    "N2", "must", "Choices open in order: 0 first, then 1, 2 …, none skipped.", needs.stream, needs.choices,
    source="recordings, SDK sources", breaks="openai-python .stream(): IndexError",
)  # fmt: skip
def opened_in_order(reading: Reading) -> Iterator[Fault]:
    for due, index in enumerate(reading.indexes):
        if index != due:
            yield at(reading.of(index)[0].frame, f"choice {index} opens, and {due} was due")
            return


@rule(
    "N3", "should", "A choice's index is an integer below n.", needs.stream, needs.choices, needs.request,
    source="SDK sources", breaks="openai-node .stream() throws",
)  # fmt: skip
def below_n(reading: Reading) -> Iterator[Fault]:
    for step in reading.steps:
        index = step.choice.get("index")
        if not whole_number(index) or not 0 <= step.index < reading.n:
            yield at(step.frame, f"a choice's index is {index!r}, and n is {reading.n}")


@rule(
    "N4", "must", "With n > 1 each choice is a stream of its own, and one usage covers all.", needs.stream,
    needs.several,
    needs.done, needs.healthy, source="recordings", entails="O10",
    breaks="whoever bills by usage; the answers that never come",
)  # fmt: skip
def all_choices(reading: Reading) -> Iterator[Fault]:
    missing = sorted(set(range(reading.n)) - set(reading.indexes))
    if missing:
        yield at(reading.dones[0], f"n is {reading.n}, and choice {missing[0]} never comes")
    said = [sum(bool(step.delta.get("content")) for step in reading.of(index)) for index in reading.indexes]
    for chunk in reading.chunks:
        counted = mapping(chunk.body.get("usage")).get("completion_tokens")
        # A delta is a token or more, or, smoothed by a gateway, less: so only a count that one choice alone explains,
        # and all of them together do not by far, is a fault.
        if isinstance(counted, int) and len(said) > 1 and counted <= max(said) + 1 and sum(said) > 1.5 * counted:
            yield at(
                chunk.frame,
                f"usage counts {counted} tokens, and {sum(said)} deltas with text came for {len(said)} choices",
            )


RULES = (one_choice, opened_in_order, below_n, all_choices)
