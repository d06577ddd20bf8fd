"""LlamaIndex's OpenAILike. It reads one call per chunk and the usage from the last chunk only.

It has no scenario for n: it reads choice 0. No `from __future__ import annotations` here: it cannot read such tools.
"""

import gc
import json
from functools import partial
from typing import Any, Literal

import openai
import report
from llama_index.core.llms import ChatMessage, ChatResponse
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel, Field
from report import CASES, TOOLS, Place, check_fields, check_object, check_usage, raised


def get_weather(city: Literal["Dublin", "Cork"], unit: Literal["celsius", "fahrenheit"]) -> str:
    """Get the weather in a city"""
    return f"17 degrees {unit} in {city}"


def get_time(zone: Literal["UTC", "CET"]) -> str:
    """Get the time in a zone"""
    return f"12:00 {zone}"


FUNCTIONS = [FunctionTool.from_defaults(get_weather), FunctionTool.from_defaults(get_time)]
QUESTION = ChatMessage(role="user", content=CASES["question"])
PROMPT = ChatMessage(role="user", content=CASES["prompt"])


class River(BaseModel):
    name: str = Field(max_length=12)
    size: Literal["small", "large"]
    clean: bool


def model(place: Place, limit: int = CASES["max_tokens"], **options: Any) -> OpenAILike:
    return OpenAILike(
        model=place.model,
        api_base=place.base_url,
        api_key=place.api_key,
        is_chat_model=True,
        is_function_calling_model=True,
        max_tokens=limit,
        max_retries=0,
        additional_kwargs={"seed": CASES["seed"]},
        **options,
    )


def text_whole(place: Place) -> str:
    answer = model(place).chat([PROMPT])
    assert answer.message.role == "assistant"
    assert answer.message.content
    assert answer.raw.choices[0].finish_reason in ("stop", "length")
    return answer.message.content


def text_stream(place: Place) -> str:
    parts = list(model(place).stream_chat([PROMPT]))
    assert parts[-1].message.content == "".join(part.delta or "" for part in parts)
    assert len({part.raw.id for part in parts}) == 1, "the id changes"
    assert parts[-1].message.content == text_whole(place)
    return parts[-1].message.content


def check_call(llm: OpenAILike, response: ChatResponse) -> str:
    """The only call of an answer, checked against the schema of the tool that it names."""
    (call,) = llm.get_tool_calls_from_response(response)
    assert call.tool_id
    check_fields(call.tool_kwargs, TOOLS[call.tool_name])
    return f"{call.tool_name} {call.tool_kwargs}"


def tools_required(place: Place) -> str:
    llm = model(place, CASES["tool_tokens"])
    answer = llm.chat_with_tools(FUNCTIONS, QUESTION, tool_required=True)
    assert answer.raw.choices[0].finish_reason == "tool_calls"
    return check_call(llm, answer)


def tools_stream(place: Place) -> str:
    llm = model(place, CASES["tool_tokens"])
    *_, last = llm.stream_chat_with_tools(FUNCTIONS, QUESTION, tool_required=True)
    return check_call(llm, last)


def tools_named(place: Place) -> str:
    llm = model(place, CASES["tool_tokens"])
    answer = llm.chat_with_tools(FUNCTIONS, QUESTION, tool_choice="get_time")
    assert llm.get_tool_calls_from_response(answer)[0].tool_name == "get_time"
    return check_call(llm, answer)


def tools_round_trip(place: Place) -> str:
    llm = model(place, CASES["tool_tokens"])
    first = llm.chat_with_tools(FUNCTIONS, QUESTION, tool_required=True)
    (call,) = llm.get_tool_calls_from_response(first)
    (function,) = [function for function in FUNCTIONS if function.metadata.name == call.tool_name]
    said = str(function(**call.tool_kwargs))
    result = ChatMessage(role="tool", content=said, additional_kwargs={"tool_call_id": call.tool_id})
    history = [QUESTION, first.message, result]
    answer = model(place).chat_with_tools(FUNCTIONS, chat_history=history, tool_choice="none")
    assert answer.message.content
    return f"{said}: {answer.message.content}"


def json_schema(place: Place) -> str:
    """`response_format` passed through, whole and streamed."""
    described = {"type": "json_schema", "json_schema": {"name": "river", "schema": CASES["schema"]}}
    llm = model(place, CASES["schema_tokens"])
    whole = llm.chat([PROMPT], response_format=described).message.content
    check_object(whole, CASES["schema"])
    *_, last = llm.stream_chat([PROMPT], response_format=described)
    assert json.loads(last.message.content) == json.loads(whole)
    return whole


def structured(place: Place) -> str:
    """`as_structured_llm`: the schema is a forced tool."""
    llm = model(place, CASES["tool_tokens"]).as_structured_llm(River)
    river = llm.chat([PROMPT]).raw
    assert isinstance(river, River)
    return repr(river)


def usage_whole(place: Place) -> str:
    usage = model(place).chat([PROMPT]).raw.usage
    check_usage(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens, CASES["max_tokens"])
    return str(usage.to_dict())


def usage_stream(place: Place) -> str:
    *_, last = model(place).stream_chat([PROMPT], stream_options={"include_usage": True})
    counts = last.additional_kwargs
    check_usage(counts["prompt_tokens"], counts["completion_tokens"], counts["total_tokens"], CASES["max_tokens"])
    return str(counts)


def unknown_model(place: Place) -> str:
    stranger = model(place._replace(model="no-such-model"))
    for attempt in (stranger.chat, lambda messages: list(stranger.stream_chat(messages))):
        error = raised(openai.NotFoundError, partial(attempt, [PROMPT]))
        assert error.code == "model_not_found"
        assert "no-such-model" in str(error)
    return "NotFoundError, whole and streamed"


def bad_parameter(place: Place) -> str:
    error = raised(openai.BadRequestError, lambda: model(place).chat([PROMPT], temperature=3))
    assert (error.code, error.param) == ("decimal_above_max_value", "temperature")
    return str(error)


def cancel(place: Place) -> str:
    story = ChatMessage(role="user", content=CASES["story"])
    stream = model(place, CASES["cancel_tokens"]).stream_chat([story])
    heard = "".join(next(stream).delta or "" for _ in range(4))
    stream.close()
    gc.collect()  # its close leaves the HTTP response in a reference cycle
    return heard


if __name__ == "__main__":
    report.main(
        text_whole,
        text_stream,
        tools_required,
        tools_stream,
        tools_named,
        tools_round_trip,
        json_schema,
        structured,
        usage_whole,
        usage_stream,
        unknown_model,
        bad_parameter,
        cancel,
    )
