"""instructor: pydantic models out of tool calls (TOOLS) and of schemas (JSON_SCHEMA), whole, partial and iterable.

It patches openai-python's `create`, so without a response model its answers are openai-python's own.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import instructor
import openai
import report
from instructor.core import InstructorRetryException
from openai import OpenAI
from pydantic import BaseModel, Field
from report import CASES, TOOLS, Place, check_object, check_usage, raised

MESSAGES = [{"role": "user", "content": "Describe a river."}]


class River(BaseModel):
    """A river"""

    name: str = Field(max_length=12)
    size: Literal["small", "large"]
    clean: bool


def client(place: Place, mode: instructor.Mode = instructor.Mode.TOOLS) -> instructor.Instructor:
    plain = OpenAI(base_url=place.base_url, api_key=place.api_key, timeout=60, max_retries=0)
    return instructor.from_openai(plain, mode=mode)


def asked(place: Place, limit: int = CASES["schema_tokens"], **request: Any) -> dict[str, Any]:
    return {"model": place.model, "messages": MESSAGES, "max_tokens": limit, "seed": CASES["seed"], **request}


def check_partials(partials: list[Any]) -> str:
    """Partial models grow into a whole one."""
    assert len(partials) > 2, f"only {len(partials)} partial models"
    whole = River.model_validate(partials[-1].model_dump())
    assert partials[0] != partials[-1]
    return repr(whole)


def text_whole(place: Place) -> str:
    answer = client(place).create(response_model=None, **asked(place, CASES["max_tokens"]))
    assert answer.choices[0].message.content
    return answer.choices[0].message.content


def text_stream(place: Place) -> str:
    stream = client(place).create(response_model=None, stream=True, **asked(place, CASES["max_tokens"]))
    parts = [chunk.choices[0] for chunk in stream if chunk.choices]
    text = "".join(part.delta.content or "" for part in parts)
    assert text == text_whole(place)
    assert [part.finish_reason for part in parts if part.finish_reason] in (["stop"], ["length"])
    return text


def tools_named(place: Place) -> str:
    """The mode TOOLS forces the tool that is the model's name."""
    river, raw = client(place).create_with_completion(response_model=River, **asked(place))
    assert isinstance(river, River)
    (call,) = raw.choices[0].message.tool_calls
    assert call.function.name == "River"
    assert raw.choices[0].finish_reason == "tool_calls"
    return repr(river)


def tools_stream(place: Place) -> str:
    return check_partials(list(client(place).create_partial(response_model=River, **asked(place))))


def tools_required(place: Place) -> str:
    """Tools without a response model go through unchanged."""
    request = {"tools": CASES["tools"], "tool_choice": "required", "parallel_tool_calls": False}
    answer = client(place).create(response_model=None, **asked(place, CASES["tool_tokens"], **request))
    (call,) = answer.choices[0].message.tool_calls
    check_object(call.function.arguments, TOOLS[call.function.name])
    return call.function.arguments


def json_schema(place: Place) -> str:
    river = client(place, instructor.Mode.JSON_SCHEMA).create(response_model=River, **asked(place))
    assert isinstance(river, River)
    return repr(river)


def json_schema_stream(place: Place) -> str:
    partials = client(place, instructor.Mode.JSON_SCHEMA).create_partial(response_model=River, **asked(place))
    return check_partials(list(partials))


def n_whole(place: Place) -> str:
    answer = client(place).create(response_model=None, n=3, **asked(place, CASES["max_tokens"]))
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert all(choice.message.content for choice in answer.choices)
    return f"{answer.usage.completion_tokens} tokens in 3 choices"


def usage_whole(place: Place) -> str:
    _, raw = client(place).create_with_completion(response_model=River, **asked(place))
    check_usage(raw.usage.prompt_tokens, raw.usage.completion_tokens, raw.usage.total_tokens, CASES["schema_tokens"])
    return str(raw.usage.to_dict())


def failure(place: Place, **request: Any) -> openai.APIStatusError:
    """The client's own error, which instructor wraps."""
    attempt = partial(client(place).create, response_model=River, max_retries=0, **asked(place, **request))
    cause: BaseException | None = raised(InstructorRetryException, attempt)
    while cause is not None and not isinstance(cause, openai.APIStatusError):
        cause = cause.__cause__
    assert cause is not None, "no openai error behind instructor's"
    return cause


def unknown_model(place: Place) -> str:
    error = failure(place._replace(model="no-such-model"))
    assert isinstance(error, openai.NotFoundError), repr(error)
    assert error.code == "model_not_found"
    return str(error)


def bad_parameter(place: Place) -> str:
    error = failure(place, temperature=3)
    assert isinstance(error, openai.BadRequestError), repr(error)
    assert (error.code, error.param) == ("decimal_above_max_value", "temperature")
    return str(error)


def cancel(place: Place) -> str:
    request = asked(place, CASES["cancel_tokens"]) | {"messages": [{"role": "user", "content": CASES["story"]}]}
    stream = client(place).create(response_model=None, stream=True, **request)
    heard = "".join(next(stream).choices[0].delta.content or "" for _ in range(4))
    stream.close()
    return heard


if __name__ == "__main__":
    report.main(
        text_whole,
        text_stream,
        tools_named,
        tools_stream,
        tools_required,
        json_schema,
        json_schema_stream,
        n_whole,
        usage_whole,
        unknown_model,
        bad_parameter,
        cancel,
    )
