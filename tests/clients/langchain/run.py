"""LangChain's ChatOpenAI: invoke, stream, bind_tools, with_structured_output. It adds chunks up and reads choice 0.

It has no scenario for a streamed n: it mixes the choices, as documented for it.
"""

from __future__ import annotations

import json
from functools import partial, reduce
from operator import add
from typing import Any

import openai
import report
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from report import CASES, TOOLS, Place, check_fields, check_usage, raised

FORCED = {"tools": CASES["tools"], "parallel_tool_calls": False}


def chat(place: Place, limit: int = CASES["max_tokens"], **options: Any) -> ChatOpenAI:
    model = {"model": place.model, "base_url": place.base_url, "api_key": place.api_key, **options}
    return ChatOpenAI(seed=CASES["seed"], max_tokens=limit, max_retries=0, timeout=60, **model)


def read(chunks: list[AIMessageChunk]) -> AIMessageChunk:
    """The sum of a stream's chunks, which must say its finish and its model once."""
    assert len(chunks) > 2, f"only {len(chunks)} chunks"
    whole = reduce(add, chunks)
    assert whole.response_metadata["finish_reason"] in ("stop", "length", "tool_calls")
    return whole


def check_counts(message: AIMessage, limit: int) -> None:
    usage = message.usage_metadata
    assert usage, "no usage"
    check_usage(usage["input_tokens"], usage["output_tokens"], usage["total_tokens"], limit)


def text_whole(place: Place) -> str:
    answer = chat(place).invoke(CASES["prompt"])
    assert isinstance(answer.content, str)
    assert answer.content
    assert answer.response_metadata["finish_reason"] in ("stop", "length")
    assert answer.response_metadata["model_name"] == place.model
    assert answer.id
    return answer.content


def text_stream(place: Place) -> str:
    chunks = list(chat(place).stream(CASES["prompt"]))
    whole = read(chunks)
    assert whole.content == "".join(chunk.content for chunk in chunks)
    assert whole.response_metadata["model_name"] == place.model
    assert len({chunk.id for chunk in chunks}) == 1, "the id changes"
    assert whole.content == text_whole(place)
    return whole.content


def check_call(message: AIMessage) -> str:
    """The only call of an answer, checked against the schema of the tool that it names."""
    (call,) = message.tool_calls
    assert not message.invalid_tool_calls
    assert call["id"]
    assert message.response_metadata["finish_reason"] == "tool_calls"
    check_fields(call["args"], TOOLS[call["name"]])
    return f"{call['name']} {call['args']}"


def tools_required(place: Place) -> str:
    bound = chat(place, CASES["tool_tokens"]).bind_tools(**FORCED, tool_choice="required")
    return check_call(bound.invoke(CASES["question"]))


def tools_stream(place: Place) -> str:
    bound = chat(place, CASES["tool_tokens"]).bind_tools(**FORCED, tool_choice="required")
    return check_call(read(list(bound.stream(CASES["question"]))))


def tools_named(place: Place) -> str:
    bound = chat(place, CASES["tool_tokens"]).bind_tools(**FORCED, tool_choice="get_time")
    answer = bound.invoke(CASES["question"])
    assert answer.tool_calls[0]["name"] == "get_time"
    return check_call(answer)


def tools_round_trip(place: Place) -> str:
    question = HumanMessage(CASES["question"])
    first = chat(place, CASES["tool_tokens"]).bind_tools(**FORCED, tool_choice="required").invoke([question])
    check_call(first)
    result = ToolMessage("17 degrees, rain", tool_call_id=first.tool_calls[0]["id"])
    answer = chat(place).bind_tools(**FORCED, tool_choice="none").invoke([question, first, result])
    assert answer.content
    assert not answer.tool_calls
    return str(answer.content)


def json_schema(place: Place) -> str:
    schema = {"title": "river", **CASES["schema"]}
    model = chat(place, CASES["schema_tokens"]).with_structured_output(schema, method="json_schema")
    answer = model.invoke("Describe a river as JSON.")
    check_fields(answer, CASES["schema"])
    *_, last = model.stream("Describe a river as JSON.")
    check_fields(last, CASES["schema"])
    return json.dumps(answer)


def n_whole(place: Place) -> str:
    (generations,) = chat(place, n=3).generate([[HumanMessage(CASES["prompt"])]]).generations
    texts = [generation.text for generation in generations]
    assert len(texts) == 3
    assert all(texts), texts
    return json.dumps(texts)


def usage_whole(place: Place) -> str:
    answer = chat(place).invoke(CASES["prompt"])
    check_counts(answer, CASES["max_tokens"])
    return str(answer.usage_metadata)


def usage_stream(place: Place) -> str:
    whole = read(list(chat(place, stream_usage=True).stream(CASES["prompt"])))
    check_counts(whole, CASES["max_tokens"])
    return str(whole.usage_metadata)


def unknown_model(place: Place) -> str:
    stranger = chat(place._replace(model="no-such-model"))
    for attempt in (stranger.invoke, lambda prompt: list(stranger.stream(prompt))):
        error = raised(openai.NotFoundError, partial(attempt, CASES["prompt"]))
        assert error.code == "model_not_found"
        assert "no-such-model" in str(error)
    return "NotFoundError, whole and streamed"


def bad_parameter(place: Place) -> str:
    error = raised(openai.BadRequestError, lambda: chat(place, temperature=3).invoke(CASES["prompt"]))
    assert (error.code, error.param) == ("decimal_above_max_value", "temperature")
    return str(error)


def cancel(place: Place) -> str:
    stream = chat(place, CASES["cancel_tokens"]).stream(CASES["story"])
    heard = [next(stream).text for _ in range(4)]
    stream.close()
    return "".join(heard)


if __name__ == "__main__":
    report.main(
        text_whole,
        text_stream,
        tools_required,
        tools_stream,
        tools_named,
        tools_round_trip,
        json_schema,
        n_whole,
        usage_whole,
        usage_stream,
        unknown_model,
        bad_parameter,
        cancel,
    )
