"""I: who answers. What every chunk of one answer says alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from riverrun.conformance import needs
from riverrun.conformance.reading import Reading, whole_number
from riverrun.conformance.rules import Fault, at, rule
from riverrun.wire.jsonvalue import JsonValue

TIERS = {"auto", "default", "flex", "scale", "priority", "fast"}


def constant(reading: Reading, name: str, valid: Callable[[JsonValue], bool], kind: str) -> Iterator[Fault]:
    """Faults of a key that must be present, of its kind, and the same in all chunks."""
    for chunk in reading.chunks:
        value, first = chunk.body.get(name), reading.chunks[0].body.get(name)
        if not valid(value):
            yield at(chunk.frame, f"{name} is {value!r}, not {kind}")
        elif value != first:
            yield at(chunk.frame, f"{name} changes from {first!r} to {value!r}")


def named(value: JsonValue) -> bool:
    """Whether it is a string with something in it."""
    return isinstance(value, str) and value != ""


@rule(
    "I1", "must", "id is a non-empty string, the same in all chunks.", needs.stream, needs.chunks,
    source="OpenAPI text, recordings",
    breaks="openai-node .stream() reports the last id, openai-python .stream() the first",
)  # fmt: skip
def one_id(reading: Reading) -> Iterator[Fault]:
    yield from constant(reading, "id", named, "a non-empty string")


@rule(
    "I2", "must", "created is integer seconds, the same in all chunks.", needs.stream, needs.chunks,
    source="OpenAPI text, recordings", breaks="strict openai-python on a float",
)  # fmt: skip
def one_created(reading: Reading) -> Iterator[Fault]:
    yield from constant(reading, "created", whole_number, "an integer")


@rule(
    "I3", "must", "model is present, the same in all chunks.", needs.stream, needs.chunks, source="recordings",
    breaks="strict openai-python if it is missing",
)  # fmt: skip
def one_model(reading: Reading) -> Iterator[Fault]:
    yield from constant(reading, "model", named, "a non-empty string")


@rule(
    "I4", "must", 'object is "chat.completion.chunk" in every chunk, the usage chunk included.', needs.stream,
    needs.chunks,
    source="openai types", breaks="openai-python .stream() skips other chunks and then fails",
)  # fmt: skip
def chunk_object(reading: Reading) -> Iterator[Fault]:
    for chunk in reading.chunks:
        if chunk.body.get("object") != "chat.completion.chunk":
            yield at(chunk.frame, f"object is {chunk.body.get('object')!r}")


@rule(
    "I5", "should",
    "system_fingerprint and service_tier are constant; null or absent is allowed, an unknown tier is not.",
    needs.stream, needs.chunks, source="recordings, openai types", breaks="strict openai-python on an unknown tier",
)  # fmt: skip
def one_fingerprint(reading: Reading) -> Iterator[Fault]:
    for name in ("system_fingerprint", "service_tier"):
        yield from constant(reading, name, lambda value: isinstance(value, str | None), "a string or null")
    for chunk in reading.chunks:
        if chunk.body.get("service_tier") not in (*TIERS, None):
            yield at(chunk.frame, f"service_tier is {chunk.body.get('service_tier')!r}")


@rule(
    "I6", "must", "choices is a list in every chunk, never null or absent.", needs.stream, needs.chunks,
    source="OpenAPI required", breaks="openai-python .stream(), openai-node .stream(), AI SDK, LlamaIndex",
)  # fmt: skip
def choices_list(reading: Reading) -> Iterator[Fault]:
    for chunk in reading.chunks:
        if not isinstance(chunk.body.get("choices"), list):
            yield at(chunk.frame, f"choices is {chunk.body.get('choices')!r}")


RULES = (one_id, one_created, one_model, chunk_object, one_fingerprint, choices_list)
