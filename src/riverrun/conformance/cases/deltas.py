"""O: the order of a choice's deltas, from its role to its ending."""

from __future__ import annotations

from collections.abc import Iterator

from riverrun.conformance import needs
from riverrun.conformance.reading import Reading, Step, items, mapping
from riverrun.conformance.rules import Fault, at, rule
from riverrun.wire.jsonvalue import JsonValue

FINISHES = {"stop", "length", "tool_calls", "content_filter", "function_call"}
OFFICIAL = {"role", "content", "refusal", "tool_calls", "function_call", "audio"}


def ending(step: Step) -> bool:
    """Whether the chunk ends its choice."""
    return step.choice.get("finish_reason") not in (None, "", "null")


def only_audio(step: Step) -> bool:
    """Audio deltas leave out finish_reason (openai types)."""
    return set(step.delta) == {"audio"}


@rule(
    "O1", "must", 'The first chunk of each choice has delta.role "assistant".', needs.stream, needs.choices,
    source="recordings", breaks='openai-node .stream() "missing role"; openai-python .stream() has role None',
)  # fmt: skip
def role_first(reading: Reading) -> Iterator[Fault]:
    for index in reading.indexes:
        first = reading.of(index)[0]
        if first.delta.get("role") is None:
            yield at(first.frame, f"choice {index} opens without a role")


@rule(
    "O2", "must", "role appears only in the first chunk of a choice.", needs.stream, needs.choices, source="recordings",
    breaks='openai-python .stream() makes "assistantassistant"',
)  # fmt: skip
def role_once(reading: Reading) -> Iterator[Fault]:
    for index in reading.indexes:
        steps = reading.of(index)
        for step in steps[1:]:
            if step.delta.get("role") is not None and steps[0].delta.get("role") is not None:
                yield at(step.frame, f"choice {index} names its role again")


@rule(
    "O3", "must", 'role is exactly "assistant".', needs.stream, needs.choices, source="openai types",
    breaks="openai-node .stream(), AI SDK",
)  # fmt: skip
def role_assistant(reading: Reading) -> Iterator[Fault]:
    for step in reading.steps:
        if step.delta.get("role") not in (None, "assistant"):
            yield at(step.frame, f"role is {step.delta.get('role')!r}")


@rule(
    "O4", "should",
    'The first delta has content "" for text, null (or "", the kind not being known) for tool calls; '
    "refusal null, or \"\" when it refuses.",
    needs.stream, needs.choices, needs.bare_of_audio, source="recordings", breaks="llama.cpp's suite wants null",
)  # fmt: skip
def empty_opening(reading: Reading) -> Iterator[Fault]:
    for index in reading.indexes:
        steps = reading.of(index)
        first = steps[0].delta
        says = any(step.delta.get("content") for step in steps)
        allowed: tuple[JsonValue, ...] = ("",) if says else ("", None)
        if first.get("content", "absent" if says else None) not in allowed:
            yield at(steps[0].frame, f"choice {index} opens with content {first.get('content')!r}")
        if first.get("refusal") not in (None, ""):
            yield at(steps[0].frame, f"choice {index} opens with refusal {first.get('refusal')!r}")


@rule(
    "O5", "must", "delta.content is a string or null, never a list of parts.", needs.stream, needs.choices,
    source="openai types", breaks="openai-python .stream(), openai-node, LangChain, LlamaIndex, LiteLLM",
)  # fmt: skip
def content_is_text(reading: Reading) -> Iterator[Fault]:
    for step in reading.steps:
        if not isinstance(step.delta.get("content"), str | None):
            yield at(step.frame, f"content is {step.delta.get('content')!r}")


@rule(
    "O6", "must", "delta is an object in every choice, never null or absent.", needs.stream, needs.choices,
    source="OpenAPI required", breaks="openai-python .stream()",
)  # fmt: skip
def delta_is_object(reading: Reading) -> Iterator[Fault]:
    for step in reading.steps:
        if not isinstance(step.choice.get("delta"), dict):
            yield at(step.frame, f"delta is {step.choice.get('delta')!r}")


@rule(
    "O7", "must", "One chunk of a choice has a finish_reason, one of the five official ones, and its delta is {}.",
    needs.stream, needs.choices, source="recordings, openai types", breaks='LangChain "stopstop"; LiteLLM says stop',
)  # fmt: skip
def one_finish(reading: Reading) -> Iterator[Fault]:
    for index in reading.indexes:
        endings = [step for step in reading.of(index) if ending(step)]
        for place, step in enumerate(endings):
            reason = step.choice.get("finish_reason")
            if place:
                yield at(step.frame, f"choice {index} finishes again")
            elif reason not in (*FINISHES, "error"):  # "error" is E6's
                yield at(step.frame, f"finish_reason is {reason!r}")
            elif step.choice.get("delta", {}) not in ({}, None):
                yield at(step.frame, f"the finish of choice {index} has a delta with {', '.join(step.delta)}")


@rule(
    "O8", "must", "Nothing comes for a choice after its finish_reason.", needs.stream, needs.choices,
    source="recordings",
    breaks="openai-python and openai-node .stream(): the done events have fired",
)  # fmt: skip
def nothing_after_finish(reading: Reading) -> Iterator[Fault]:
    for index in reading.indexes:
        over = False
        for step in reading.of(index):
            if over and not ending(step):
                yield at(step.frame, f"choice {index} goes on after its finish_reason")
            over = over or ending(step)


@rule(
    "O9", "should", 'The finish_reason key is present and null until the last chunk, not "" and not "null".',
    needs.stream, needs.choices, source="OpenAPI required", breaks='strict openai-python on ""',
)  # fmt: skip
def finish_null_before(reading: Reading) -> Iterator[Fault]:
    for step in reading.steps:
        reason = step.choice.get("finish_reason", "absent")
        if reason in ("", "null") or (reason == "absent" and not only_audio(step)):
            yield at(step.frame, f"finish_reason is {reason if reason == 'absent' else repr(reason)}")


@rule(
    "O10", "must", "Every choice asked for has a finish_reason before [DONE].", needs.stream, needs.done, needs.healthy,
    source="openai types",
    breaks="openai-node .stream() and AI SDK throw; openai-python, openai-node, LangChain, LlamaIndex, LiteLLM, "
    "pydantic-ai report success",
)  # fmt: skip
def all_finish(reading: Reading) -> Iterator[Fault]:
    for index in range(max(reading.n, 1)):
        if not reading.finish(index):
            yield at(reading.dones[0], f"[DONE] comes, but choice {index} has no finish_reason")


@rule(
    "O11", "must", "The tail's order: finish, usage, moderation, [DONE].", needs.stream, needs.chunks,
    source="recordings",
    breaks="openai-python .stream() and LlamaIndex lose the usage",
)  # fmt: skip
def tail_order(reading: Reading) -> Iterator[Fault]:
    after = ""
    for chunk in reading.chunks:
        choices = items(chunk.body.get("choices"))
        if after and choices:
            yield at(chunk.frame, f"a choice's chunk follows the {after}")
        if after == "moderation" and chunk.body.get("usage") is not None:
            yield at(chunk.frame, "the usage follows the moderation")
        if not choices and chunk.body.get("usage") is not None:
            after = "usage"
        elif not choices and chunk.body.get("moderation") is not None:
            after = "moderation"


@rule(
    "O12", "must", "Every object in a list of a delta has an integer index.", needs.stream, needs.choices,
    source="openai-python accumulate_delta", breaks="openai-python .stream(): RuntimeError on the second list",
)  # fmt: skip
def indexed_lists(reading: Reading) -> Iterator[Fault]:
    for step in reading.steps:
        for name, value in step.delta.items():
            if name in ("tool_calls", "content"):  # T1's and O5's
                continue
            for item in items(value):
                if isinstance(item, dict) and not isinstance(mapping(item).get("index"), int):
                    yield at(step.frame, f"an item of {name} has no index")


@rule(
    "O13", "should", "Vendor scalars of a delta are strings made to be concatenated: no number or boolean comes twice.",
    needs.stream, needs.choices, source="openai-python accumulate_delta", breaks="openai-python .stream() adds them up",
)  # fmt: skip
def no_repeated_numbers(reading: Reading) -> Iterator[Fault]:
    for index in reading.indexes:
        met: set[str] = set()
        for step in reading.of(index):
            numbers = {name for name, value in step.delta.items() if isinstance(value, int | float)} - OFFICIAL
            for name in sorted(numbers & met):
                yield at(step.frame, f"delta.{name} is a number or boolean and comes again")
            met |= numbers


@rule(
    "O14", "must", "A normal chunk has no error key, not even null.", needs.stream, needs.chunks, source="SDK sources",
    breaks="AI SDK takes every such chunk as an error",
)  # fmt: skip
def no_error_key(reading: Reading) -> Iterator[Fault]:
    for chunk in reading.chunks:
        if "error" in chunk.body:
            yield at(chunk.frame, f"error is {chunk.body['error']!r}")


RULES = (
    role_first, role_once, role_assistant, empty_opening, content_is_text, delta_is_object, one_finish,
    nothing_after_finish, finish_null_before, all_finish, tail_order, indexed_lists, no_repeated_numbers, no_error_key,
)  # fmt: skip
