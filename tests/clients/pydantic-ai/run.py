"""pydantic-ai: agents over its OpenAI chat model. It validates whole answers and sums the usage of streams.

It asks for one answer at a time, so there is no scenario for n.
"""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import report
from pydantic import BaseModel, Field
from pydantic_ai import Agent, ModelHTTPError, ModelRequest, NativeOutput, ToolDefinition, ToolOutput
from pydantic_ai.direct import model_request_stream_sync, model_request_sync
from pydantic_ai.messages import ModelResponse, ToolCallPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from report import CASES, TOOLS, Place, check_fields, check_usage, raised


class River(BaseModel):
    name: str = Field(max_length=12)
    size: Literal["small", "large"]
    clean: bool


def model(place: Place) -> OpenAIChatModel:
    provider = OpenAIProvider(base_url=place.base_url, api_key=place.api_key)
    return OpenAIChatModel(place.model, provider=provider)


def settings(limit: int = CASES["max_tokens"], **options: Any) -> dict[str, Any]:
    return {"max_tokens": limit, "seed": CASES["seed"], "timeout": 60, **options}


def check_counts(usage: Any, limit: int) -> None:
    check_usage(usage.input_tokens, usage.output_tokens, usage.total_tokens, limit)


def text_whole(place: Place) -> str:
    result = Agent(model(place)).run_sync(CASES["prompt"], model_settings=settings())
    assert result.output
    assert result.response.finish_reason in ("stop", "length")
    assert result.response.provider_response_id.startswith("chatcmpl-")
    assert result.response.model_name == place.model
    return result.output


def text_stream(place: Place) -> str:
    async def read() -> str:
        async with Agent(model(place)).run_stream(CASES["prompt"], model_settings=settings()) as result:
            deltas = [delta async for delta in result.stream_text(delta=True, debounce_by=None)]
            assert await result.get_output() == "".join(deltas)
            assert result.response.finish_reason in ("stop", "length")
            return "".join(deltas)

    text = asyncio.run(read())
    assert text == text_whole(place)
    return text


def forced() -> dict[str, Any]:
    """A question whose answer must be a call, for pydantic-ai's direct requests."""
    definitions = [
        ToolDefinition(name=name, description="A tool", parameters_json_schema=schema) for name, schema in TOOLS.items()
    ]
    return {
        "messages": [ModelRequest.user_text_prompt(CASES["question"])],
        "model_request_parameters": ModelRequestParameters(function_tools=definitions, allow_text_output=False),
        "model_settings": settings(CASES["tool_tokens"], parallel_tool_calls=False),
    }


def check_call(response: ModelResponse) -> str:
    """The only call of an answer, checked against the schema of the tool that it names."""
    (call,) = [part for part in response.parts if isinstance(part, ToolCallPart)]
    assert response.finish_reason == "tool_call"
    check_fields(call.args_as_dict(), TOOLS[call.tool_name])
    assert call.tool_call_id
    return f"{call.tool_name} {call.args}"


def tools_required(place: Place) -> str:
    return check_call(model_request_sync(model(place), **forced()))


def tools_stream(place: Place) -> str:
    with model_request_stream_sync(model(place), **forced()) as stream:
        events = list(stream)
        answer = stream.response
    assert len(events) > 2, f"only {len(events)} events"
    return check_call(answer)


def tools_named(place: Place) -> str:
    """A tool as the type of the output: the agent forces it."""
    agent = Agent(model(place), output_type=ToolOutput(River, name="river"), retries=0)
    result = agent.run_sync("Describe a river.", model_settings=settings(CASES["tool_tokens"]))
    assert isinstance(result.output, River)
    assert result.response.finish_reason == "tool_call"
    return repr(result.output)


def tools_round_trip(place: Place) -> str:
    """The agent's own loop: a forced call, the tool, and an answer in text."""
    asked = []

    def get_weather(city: Literal["Dublin", "Cork"]) -> str:
        asked.append(city)
        return "17 degrees, rain"

    def choice(context: Any) -> dict[str, Any]:
        if asked:
            return settings(tool_choice="none")
        return settings(CASES["tool_tokens"], tool_choice=["get_weather"])

    agent = Agent(model(place), tools=[get_weather])
    result = agent.run_sync(CASES["question"], model_settings=choice)
    assert asked, "the tool was never called"
    assert result.output
    assert result.usage.requests == 2
    return f"{asked} {result.output}"


def json_schema(place: Place) -> str:
    agent = Agent(model(place), output_type=NativeOutput(River), retries=0)
    options = settings(CASES["schema_tokens"])
    whole = agent.run_sync("Describe a river as JSON.", model_settings=options).output
    assert isinstance(whole, River)

    async def read() -> River:
        async with agent.run_stream("Describe a river as JSON.", model_settings=options) as result:
            return [partial async for partial in result.stream_output(debounce_by=None)][-1]

    assert asyncio.run(read()) == whole
    return repr(whole)


def usage_whole(place: Place) -> str:
    usage = Agent(model(place)).run_sync(CASES["prompt"], model_settings=settings()).usage
    check_counts(usage, CASES["max_tokens"])
    return str(usage)


def usage_stream(place: Place) -> str:
    async def read() -> Any:
        async with Agent(model(place)).run_stream(CASES["prompt"], model_settings=settings()) as result:
            await result.get_output()
            return result.usage

    usage = asyncio.run(read())
    check_counts(usage, CASES["max_tokens"])
    return str(usage)


def failure(place: Place, **options: Any) -> ModelHTTPError:
    agent = Agent(model(place))
    return raised(ModelHTTPError, lambda: agent.run_sync(CASES["prompt"], model_settings=settings(**options)))


def unknown_model(place: Place) -> str:
    error = failure(place._replace(model="no-such-model"))
    assert error.status_code == 404
    assert error.body["code"] == "model_not_found"
    return str(error)


def bad_parameter(place: Place) -> str:
    error = failure(place, temperature=3)
    assert error.status_code == 400
    assert (error.body["code"], error.body["param"]) == ("decimal_above_max_value", "temperature")
    return str(error)


def cancel(place: Place) -> str:
    async def read() -> str:
        options = settings(CASES["cancel_tokens"])
        async with Agent(model(place)).run_stream(CASES["story"], model_settings=options) as result:
            async for text in result.stream_text(debounce_by=None):
                if len(text) > 8:
                    await result.cancel()
                    return text
        raise AssertionError("the story ended at once")

    return asyncio.run(read())


if __name__ == "__main__":
    report.main(
        text_whole,
        text_stream,
        tools_required,
        tools_stream,
        tools_named,
        tools_round_trip,
        json_schema,
        usage_whole,
        usage_stream,
        unknown_model,
        bad_parameter,
        cancel,
    )
