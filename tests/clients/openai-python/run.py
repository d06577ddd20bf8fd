"""openai-python, with `_strict_response_validation=True` wherever a response is read: its types are the oracle.

What the types cannot see (order, identity, one role, one finish) is asserted chunk by chunk.
"""

from __future__ import annotations

import json
from typing import Any

import openai
import report
from openai import OpenAI
from openai.types.chat import ChatCompletionChunk
from pydantic import BaseModel
from report import CASES, TOOLS, Place, check_object, check_usage, raised

ASKED = {"messages": [{"role": "user", "content": CASES["prompt"]}], "max_tokens": CASES["max_tokens"]}
QUESTION = {"role": "user", "content": CASES["question"]}
FORCED = {"tools": CASES["tools"], "max_tokens": CASES["tool_tokens"], "parallel_tool_calls": False}
SCHEMA = {
    "messages": [{"role": "user", "content": "Describe a river as JSON."}],
    "max_tokens": CASES["schema_tokens"],
    "response_format": {"type": "json_schema", "json_schema": {"name": "river", "schema": CASES["schema"]}},
}


def strict(place: Place) -> OpenAI:
    return OpenAI(base_url=place.base_url, api_key=place.api_key, timeout=60, _strict_response_validation=True)


def ask(client: OpenAI, place: Place, **request: Any) -> Any:
    return client.chat.completions.create(model=place.model, seed=CASES["seed"], **request)


def read(stream: Any, choices: int = 1) -> list[ChatCompletionChunk]:
    """Every chunk of a stream, after the checks that hold for any of them."""
    chunks = list(stream)
    assert len(chunks) > choices, f"only {len(chunks)} chunks"
    for field in ("id", "created", "model", "system_fingerprint", "service_tier", "object"):
        values = {getattr(chunk, field) for chunk in chunks}
        assert len(values) == 1, f"{field} changes: {values}"
    assert chunks[0].object == "chat.completion.chunk"
    assert chunks[0].id.startswith("chatcmpl-"), chunks[0].id
    assert all(len(chunk.choices) <= 1 for chunk in chunks), "more than one choice in a chunk"
    for index in range(choices):
        check_choice([c.choices[0] for c in chunks if c.choices and c.choices[0].index == index])
    opened = [c.choices[0].index for c in chunks if c.choices and c.choices[0].delta.role]
    assert opened == list(range(choices)), f"choices open in the order {opened}"
    return chunks


def check_choice(parts: list[Any]) -> None:
    """One choice's own stream: the role once and first, the finish once and last, with an empty delta."""
    assert [part.delta.role for part in parts] == ["assistant"] + [None] * (len(parts) - 1)
    assert [part.finish_reason is None for part in parts] == [True] * (len(parts) - 1) + [False]
    assert parts[-1].delta.model_dump(exclude_unset=True) == {}, f"the last delta says {parts[-1].delta}"


def text_of(chunks: list[ChatCompletionChunk], index: int = 0) -> str:
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    return "".join(choice.delta.content or "" for choice in choices if choice.index == index)


def counts(usage: Any) -> tuple[int, int, int]:
    return usage.prompt_tokens, usage.completion_tokens, usage.total_tokens


def check_counts(usage: Any, limit: int) -> None:
    assert usage, "no usage"
    check_usage(*counts(usage), limit)


def text_whole(place: Place) -> str:
    answer = ask(strict(place), place, **ASKED)
    (choice,) = answer.choices
    assert answer.object == "chat.completion"
    assert answer.id.startswith("chatcmpl-")
    assert answer.model == place.model
    assert choice.message.role == "assistant"
    assert choice.message.refusal is None
    assert choice.finish_reason in ("stop", "length")
    assert choice.message.content
    return choice.message.content


def text_stream(place: Place) -> str:
    chunks = read(ask(strict(place), place, stream=True, **ASKED))
    assert all("usage" not in chunk.model_fields_set for chunk in chunks), "a usage key that nobody asked for"
    assert chunks[0].choices[0].delta.content == ""
    assert chunks[0].model == place.model
    assert text_of(chunks) == text_whole(place), "the same seed gives another text when it is streamed"
    return text_of(chunks)


def default_client(place: Place) -> str:
    """The client as everybody uses it: no strict validation."""
    client = OpenAI(base_url=place.base_url, api_key=place.api_key)
    return text_of(read(ask(client, place, stream=True, **ASKED)))


def stream_helper(place: Place) -> str:
    """`.stream()`: its events and its accumulator. A schema lets the answer end before the limit, as it demands."""
    request = {"model": place.model, "seed": CASES["seed"], "stream_options": {"include_usage": True}, **SCHEMA}
    with strict(place).chat.completions.stream(**request) as stream:
        events = list(stream)
        answer = stream.get_final_completion()
    text = answer.choices[0].message.content
    assert text
    assert text == "".join(event.delta for event in events if event.type == "content.delta")
    assert [event.content for event in events if event.type == "content.done"] == [text]
    assert answer.choices[0].message.role == "assistant"
    check_counts(answer.usage, CASES["schema_tokens"])
    return text


def stream_helper_tools(place: Place) -> str:
    tools = [{"type": "function", "function": {**tool["function"], "strict": True}} for tool in CASES["tools"]]
    request = {**FORCED, "tools": tools, "messages": [QUESTION], "tool_choice": "required", "seed": CASES["seed"]}
    with strict(place).chat.completions.stream(model=place.model, **request) as stream:
        events = [event for event in stream if event.type.startswith("tool_calls.")]
        call = call_of(stream.get_final_completion().choices[0].message)
    *deltas, done = events
    assert "".join(delta.arguments_delta for delta in deltas) == done.arguments == call.function.arguments
    return done.arguments


def stream_helper_parsed(place: Place) -> str:
    class River(BaseModel):
        clean: bool

    request = {"messages": SCHEMA["messages"], "max_tokens": CASES["schema_tokens"], "seed": CASES["seed"]}
    with strict(place).chat.completions.stream(model=place.model, response_format=River, **request) as stream:
        parsed = stream.get_final_completion().choices[0].message.parsed
    assert isinstance(parsed, River), f"parsed is {parsed!r}"
    return repr(parsed)


def call_of(message: Any) -> Any:
    """The only call of a whole answer, checked against the schema of the tool that it names."""
    (call,) = message.tool_calls
    assert call.id
    assert call.type == "function"
    assert message.content is None, f"text beside a forced call: {message.content!r}"
    check_object(call.function.arguments, TOOLS[call.function.name])
    return call


def tools_required(place: Place) -> str:
    request = {**FORCED, "messages": [QUESTION], "tool_choice": "required"}
    (choice,) = ask(strict(place), place, **request).choices
    assert choice.finish_reason == "tool_calls"
    call = call_of(choice.message)
    return f"{call.function.name} {call.function.arguments}"


def tools_stream(place: Place) -> str:
    request = {**FORCED, "messages": [QUESTION], "tool_choice": "required"}
    chunks = read(ask(strict(place), place, stream=True, **request))
    assert all(len(chunk.choices[0].delta.tool_calls or []) <= 1 for chunk in chunks), "two fragments in one chunk"
    opening, *rest = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
    assert (opening.index, opening.type) == (0, "function")
    assert opening.id
    assert opening.function.arguments == "", f"the call opens with {opening.function.arguments!r}"
    for fragment in rest:
        fields = fragment.model_dump(exclude_unset=True)
        assert set(fields) == {"index", "function"}, f"a later fragment has {fields}"
        assert set(fields["function"]) == {"arguments"}
    arguments = "".join(fragment.function.arguments for fragment in rest)
    check_object(arguments, TOOLS[opening.function.name])
    assert chunks[-1].choices[0].finish_reason == "tool_calls"
    return f"{opening.function.name} {arguments} in {len(rest)} fragments"


def tools_named(place: Place) -> str:
    named = {"type": "function", "function": {"name": "get_time"}}
    request = {**FORCED, "messages": [QUESTION], "tool_choice": named}
    (choice,) = ask(strict(place), place, **request).choices
    assert choice.finish_reason == "tool_calls"
    assert call_of(choice.message).function.name == "get_time"
    return choice.message.tool_calls[0].function.arguments


def tools_round_trip(place: Place) -> str:
    """Question, call, result, answer: the history that an agent sends back."""
    client = strict(place)
    first = ask(client, place, messages=[QUESTION], tool_choice="required", **FORCED).choices[0].message
    result = {"role": "tool", "tool_call_id": call_of(first).id, "content": "17 degrees, rain"}
    history = [QUESTION, first.model_dump(exclude_none=True), result]
    request = {**FORCED, "tool_choice": "none", "max_tokens": CASES["max_tokens"]}
    (choice,) = ask(client, place, messages=history, **request).choices
    assert choice.finish_reason in ("stop", "length")
    assert choice.message.content
    assert not choice.message.tool_calls
    return choice.message.content


def json_schema(place: Place) -> str:
    (choice,) = ask(strict(place), place, **SCHEMA).choices
    assert choice.finish_reason == "stop", choice
    check_object(choice.message.content, CASES["schema"])
    streamed = text_of(read(ask(strict(place), place, stream=True, **SCHEMA)))
    assert json.loads(streamed) == json.loads(choice.message.content)
    return streamed


def n_whole(place: Place) -> str:
    answer = ask(strict(place), place, n=3, **ASKED)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert all(choice.message.content and choice.finish_reason for choice in answer.choices)
    check_counts(answer.usage, 3 * CASES["max_tokens"])
    assert answer.usage.prompt_tokens == ask(strict(place), place, **ASKED).usage.prompt_tokens, "counted per choice"
    return f"{answer.usage.completion_tokens} tokens in 3 choices"


def n_stream(place: Place) -> str:
    options = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = read(ask(strict(place), place, n=3, **options, **ASKED), choices=3)
    texts = [text_of(chunks, index) for index in range(3)]
    assert all(texts), texts
    (usage,) = [chunk.usage for chunk in chunks if chunk.usage]
    assert usage.completion_tokens > CASES["max_tokens"], f"3 choices counted as one: {usage}"
    return json.dumps(texts)


def usage_whole(place: Place) -> str:
    """A story does not end within the limit: the reason is `length`, exactly there."""
    story = {"messages": [{"role": "user", "content": CASES["story"]}], "max_tokens": CASES["max_tokens"]}
    answer = ask(strict(place), place, **story)
    check_counts(answer.usage, CASES["max_tokens"])
    assert (answer.choices[0].finish_reason, answer.usage.completion_tokens) == ("length", CASES["max_tokens"])
    return str(answer.usage.to_dict())


def usage_stream(place: Place) -> str:
    chunks = read(ask(strict(place), place, stream=True, stream_options={"include_usage": True}, **ASKED))
    *rest, last = chunks
    assert all(chunk.usage is None and "usage" in chunk.model_fields_set for chunk in rest), "usage: null is missing"
    assert last.choices == []
    check_counts(last.usage, CASES["max_tokens"])
    whole = ask(strict(place), place, **ASKED).usage
    assert counts(last.usage) == counts(whole), f"streamed {last.usage}, whole {whole}"
    return str(last.usage.to_dict())


def unknown_model(place: Place) -> str:
    stranger = place._replace(model="no-such-model")
    errors = [
        raised(openai.NotFoundError, lambda: ask(strict(place), stranger, **ASKED)),
        raised(openai.NotFoundError, lambda: ask(strict(place), stranger, stream=True, **ASKED)),
    ]
    for error in errors:
        assert error.code == "model_not_found"
        assert "no-such-model" in error.message
        assert error.request_id, "no x-request-id"
    return errors[0].message


def bad_parameter(place: Place) -> str:
    error = raised(openai.BadRequestError, lambda: ask(strict(place), place, temperature=3, stream=True, **ASKED))
    assert (error.code, error.param) == ("decimal_above_max_value", "temperature"), error.body
    assert error.type == "invalid_request_error"
    assert "temperature" in error.message
    return error.message


def cancel(place: Place) -> str:
    story = [{"role": "user", "content": CASES["story"]}]
    stream = ask(strict(place), place, messages=story, max_tokens=CASES["cancel_tokens"], stream=True)
    heard = [next(stream) for _ in range(4)]
    stream.close()
    return text_of(heard)


if __name__ == "__main__":
    report.main(
        text_whole,
        text_stream,
        default_client,
        stream_helper,
        stream_helper_parsed,
        stream_helper_tools,
        tools_required,
        tools_stream,
        tools_named,
        tools_round_trip,
        json_schema,
        n_whole,
        n_stream,
        usage_whole,
        usage_stream,
        unknown_model,
        bad_parameter,
        cancel,
    )
