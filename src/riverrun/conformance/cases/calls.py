"""T: tool calls, fragment by fragment."""

from __future__ import annotations

from collections.abc import Iterator

from riverrun.conformance import needs
from riverrun.conformance.reading import Fragment, Reading, items, mapping, maybe_parsed, text, whole_number
from riverrun.conformance.rules import Fault, at, rule
from riverrun.wire.jsonvalue import JsonValue

CUT = ("length", "content_filter")


def custom(fragment: Fragment) -> bool:
    """Whether it belongs to a custom tool, which has no official chunk type."""
    return "custom" in fragment.body or fragment.body.get("type") == "custom"


def per_call(reading: Reading) -> dict[tuple[int, JsonValue], list[Fragment]]:
    """The fragments of each function call, by (choice, index)."""
    calls: dict[tuple[int, JsonValue], list[Fragment]] = {}
    customs: set[tuple[int, JsonValue]] = set()
    for fragment in reading.fragments:
        key = (fragment.choice, place(fragment))
        if custom(fragment):
            customs.add(key)
        calls.setdefault(key, []).append(fragment)
    return {key: fragments for key, fragments in calls.items() if key not in customs}


def place(fragment: Fragment) -> int:
    """The call's index; a missing one counts as 0, as most clients take it."""
    index = fragment.body.get("index")
    return index if isinstance(index, int) else 0


def renamed(fragment: Fragment, opening: Fragment) -> bool:
    """Whether the fragment has an id of its own: then it is another call under the same index (T7)."""
    own = text(fragment.body.get("id"))
    return bool(own) and own != text(opening.body.get("id"))


@rule(
    "T1", "must", "Every fragment has an integer index; calls are numbered 0, 1, 2 … per choice, in order.",
    needs.stream,
    needs.calls, source="openai types, recordings",
    breaks="openai-python and openai-node .stream() throw; LangChain splits the call",
)  # fmt: skip
def numbered(reading: Reading) -> Iterator[Fault]:
    met: dict[int, int] = {}
    for fragment in reading.fragments:
        index, next_one = fragment.body.get("index"), met.get(fragment.choice, 0)
        if not whole_number(index):
            yield at(fragment.frame, f"a fragment's index is {index!r}")
        elif place(fragment) > next_one:
            yield at(fragment.frame, f"a call is numbered {index}, and {next_one} was due")
        met[fragment.choice] = max(next_one, place(fragment) + 1)


@rule(
    "T2", "must", 'The opening fragment has id, type "function", function.name and arguments "".', needs.stream,
    needs.calls, source="recordings",
    breaks="no id: AI SDK, openai-node .stream(), pydantic-ai invent one; no type: openai-node .stream() throws",
)  # fmt: skip
def complete_opening(reading: Reading) -> Iterator[Fault]:
    for (_, index), fragments in per_call(reading).items():
        first = fragments[0]
        function = mapping(first.body.get("function"))
        if not text(first.body.get("id")):
            yield at(first.frame, f"call {index} opens without an id")
        if first.body.get("type") != "function":
            yield at(first.frame, f"call {index} opens with type {first.body.get('type')!r}")
        if function and not text(function.get("name")):
            yield at(first.frame, f"call {index} opens without a name")
        if function and function.get("arguments") != "" and not isinstance(function.get("arguments"), dict | list):
            yield at(first.frame, f"call {index} opens with arguments {function.get('arguments')!r}")


@rule(
    "T3", "must", "Later fragments hold only index and function.arguments.", needs.stream, needs.calls,
    source="recordings",
    breaks='repeated ids and names are concatenated: openai-python .stream() and LlamaIndex "c1c1c1", '
    "openai-python, openai-node, LangChain, LiteLLM, pydantic-ai",
)  # fmt: skip
def bare_fragments(reading: Reading) -> Iterator[Fault]:
    for (_, index), fragments in per_call(reading).items():
        for fragment in fragments[1:]:
            extra = set(fragment.body) - {"index", "function"}
            extra |= set(mapping(fragment.body.get("function"))) - {"arguments"}
            if extra and not renamed(fragment, fragments[0]):
                yield at(fragment.frame, f"a later fragment of call {index} repeats {', '.join(sorted(extra))}")


@rule(
    "T4", "must", "The function object is present in every fragment.", needs.stream, needs.calls, source="SDK sources",
    breaks="openai-python .stream(), AI SDK, LangChain, LlamaIndex",
)  # fmt: skip
def function_present(reading: Reading) -> Iterator[Fault]:
    for fragments in per_call(reading).values():
        for fragment in fragments:
            if not isinstance(fragment.body.get("function"), dict):
                yield at(fragment.frame, "a fragment has no function object")


@rule(
    "T5", "must", "One fragment a chunk.", needs.stream, needs.calls, source="recordings",
    breaks="LlamaIndex reads only the first: the second call is lost",
)  # fmt: skip
def one_fragment(reading: Reading) -> Iterator[Fault]:
    for step in reading.steps:
        if len(items(step.delta.get("tool_calls"))) > 1:
            yield at(step.frame, f"the chunk has {len(items(step.delta.get('tool_calls')))} fragments")


@rule(
    "T6", "must", "Calls never interleave: one is complete before the next opens.", needs.stream, needs.calls,
    source="recordings", breaks="LlamaIndex",
)  # fmt: skip
def no_interleaving(reading: Reading) -> Iterator[Fault]:
    newest: dict[int, int] = {}
    for fragment in reading.fragments:
        newest[fragment.choice] = max(newest.get(fragment.choice, 0), place(fragment))
        if place(fragment) < newest[fragment.choice] and isinstance(fragment.body.get("index"), int):
            yield at(fragment.frame, f"call {place(fragment)} goes on after call {newest[fragment.choice]} opened")


@rule(
    "T7", "must", "Distinct calls have distinct indexes and ids.", needs.stream, needs.calls, source="openai types",
    entails="T8",
    breaks="same index: openai-python, openai-node, LlamaIndex, LiteLLM, pydantic-ai merge two calls into one",
)  # fmt: skip
def distinct(reading: Reading) -> Iterator[Fault]:
    owners: dict[tuple[int, str], JsonValue] = {}
    for (choice, index), fragments in per_call(reading).items():
        for fragment in fragments[1:]:
            if renamed(fragment, fragments[0]):
                yield at(fragment.frame, f"two calls share the index {index}")
        call_id = text(fragments[0].body.get("id"))
        if call_id and owners.setdefault((choice, call_id), index) != index:
            yield at(fragments[0].frame, f"two calls share the id {call_id!r}")


@rule(
    "T8", "must",
    "arguments is a string, and the whole of a finished call's is valid JSON ({} when there are none); only the last "
    "call of a choice that ends in length or content_filter may be cut.",
    needs.stream, needs.calls, source="openai types, recordings",
    breaks="object: openai-python, openai-node, AI SDK, LangChain, LlamaIndex, instructor; empty: AI SDK, LangChain",
)  # fmt: skip
def valid_arguments(reading: Reading) -> Iterator[Fault]:
    calls = per_call(reading)
    for (choice, index), fragments in calls.items():
        pieces = [mapping(fragment.body.get("function")).get("arguments", "") for fragment in fragments]
        wrong = [piece for piece in pieces if not isinstance(piece, str)]
        if wrong:
            yield at(fragments[pieces.index(wrong[0])].frame, f"the arguments of call {index} are {wrong[0]!r}")
            continue
        finish = reading.finish(choice)
        cut = finish in CUT and index == max(place(other[0]) for key, other in calls.items() if key[0] == choice)
        joined = "".join(map(text, pieces))
        if finish and not cut and maybe_parsed(joined.encode("utf-8", "surrogatepass")) is None:
            yield at(fragments[-1].frame, f"the arguments of call {index} are not JSON: {joined!r}")


@rule(
    "T10", "must",
    "A choice with a call ends in tool_calls (or length, content_filter where that is true), never in stop.",
    needs.stream, needs.calls, source="recordings", breaks="agent loops",
)  # fmt: skip
def never_stop(reading: Reading) -> Iterator[Fault]:
    for index in {fragment.choice for fragment in reading.fragments}:
        for step in reading.of(index):
            if step.choice.get("finish_reason") in ("stop", "function_call"):
                yield at(step.frame, f"choice {index} made a call and ends in {step.choice.get('finish_reason')}")


@rule(
    "T12", "should", "Custom tool calls are streamed only to clients that sent a custom tool.", needs.stream,
    needs.calls, needs.request, source="openai types, openai-node",
    breaks="openai-python .stream(), LangChain, AI SDK, LiteLLM",
)  # fmt: skip
def custom_when_asked(reading: Reading) -> Iterator[Fault]:
    if any(mapping(tool).get("type") == "custom" for tool in items(reading.asked.get("tools"))):
        return
    for fragment in reading.fragments:
        if custom(fragment):
            yield at(fragment.frame, "a custom call comes, and no custom tool was sent")


def legacy(reading: Reading) -> str:
    """The old function_call is streamed."""
    used = any("function_call" in step.delta for step in reading.steps)
    return "" if used else "no legacy function_call came"


@rule(
    "T13", "should", "Legacy function_call: the name once, arguments appended, finish function_call.", needs.stream,
    legacy,
    source="openai types", breaks="old clients; new ones ignore it",
)  # fmt: skip
def legacy_call(reading: Reading) -> Iterator[Fault]:
    for index in reading.indexes:
        steps = [step for step in reading.of(index) if "function_call" in step.delta]
        for step in steps[1:]:
            if "name" in mapping(step.delta.get("function_call")):
                yield at(step.frame, "a later function_call delta repeats the name")
        if steps and reading.finish(index) in ("stop", "tool_calls"):
            yield at(steps[-1].frame, f"choice {index} made a function_call and ends in {reading.finish(index)}")


RULES = (
    numbered, complete_opening, bare_fragments, function_present, one_fragment, no_interleaving, distinct,
    valid_arguments, never_stop, custom_when_asked, legacy_call,
)  # fmt: skip
