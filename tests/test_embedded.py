"""The embedded model through the running server: what the issue of a first chat promises, on real tokens."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import cast

import openai
import psutil
import pytest
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionMessageFunctionToolCall,
    ChatCompletionMessageParam,
    ChatCompletionToolParam,
)

from tests.servers import Served, serving

pytestmark = pytest.mark.engine

MODEL = "smollm2-135m"
ASK: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What is the weather in Paris?"}]
STORY: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Write a very long story about a river."}]
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 20}, "unit": {"enum": ["C", "F"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}
CLOCK: ChatCompletionToolParam = {"type": "function", "function": {"name": "get_time"}}


@pytest.fixture(scope="module")
def client(server_url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server_url, api_key="unused", max_retries=0) as client:
        yield client


def answer(completion: ChatCompletion) -> str:
    content = completion.choices[0].message.content
    assert content is not None
    return content


def busy(client: openai.OpenAI) -> int:
    health = client.get(str(client.base_url).removesuffix("/v1/") + "/health", cast_to=object)
    models = cast("dict[str, dict[str, list[dict[str, int]]]]", health)["engine"]["models"]
    return models[0]["busy"]


def eventually(holds: Callable[[], bool], within: float) -> bool:
    end = time.monotonic() + within
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.01)
    return False


def engine_of(server: Served) -> psutil.Process:
    children = psutil.Process(server.process.pid).children(recursive=True)
    return next(child for child in children if "riverrun.engine.child" in " ".join(child.cmdline()))


@pytest.mark.parametrize("number", range(20))
def test_the_same_seed_and_fingerprint_give_the_same_answer(client: openai.OpenAI, number: int) -> None:
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": f"Tell me fact number {number}."}]
    first, second = (
        client.chat.completions.create(model=MODEL, messages=messages, seed=number, temperature=0.8, max_tokens=24)
        for _ in range(2)
    )
    assert first.system_fingerprint == second.system_fingerprint
    assert (first.system_fingerprint or "").startswith("fp_")
    assert answer(first) == answer(second)


@pytest.mark.parametrize("limit", [1, 2, 17])
def test_length_exactly_at_the_limit(client: openai.OpenAI, limit: int) -> None:
    whole = client.chat.completions.create(model=MODEL, messages=STORY, max_completion_tokens=limit)
    assert whole.choices[0].finish_reason == "length"
    assert whole.usage is not None
    assert whole.usage.completion_tokens == limit


def test_a_stop_sequence_is_never_shown_however_it_is_split(client: openai.OpenAI) -> None:
    plain = answer(client.chat.completions.create(model=MODEL, messages=STORY, max_tokens=40, seed=3))
    for start in range(4, 24, 3):
        stop = plain[start : start + 5]
        cut = client.chat.completions.create(model=MODEL, messages=STORY, max_tokens=40, seed=3, stop=[stop])
        assert cut.choices[0].finish_reason == "stop"
        assert answer(cut) == plain[: plain.index(stop)]


def test_n_choices_differ_and_are_each_whole(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model=MODEL, messages=STORY, n=3, max_tokens=16, temperature=1.2, seed=1)
    texts = [choice.message.content for choice in whole.choices]
    assert [choice.index for choice in whole.choices] == [0, 1, 2]
    assert len(set(texts)) == 3
    assert whole.usage is not None
    assert whole.usage.completion_tokens == 48


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("choice", ["required", "named"])
def test_a_forced_tool_call_is_always_valid(client: openai.OpenAI, seed: int, choice: str) -> None:
    whole = client.chat.completions.create(
        model=MODEL,
        messages=ASK,
        tools=[WEATHER, CLOCK] if choice == "required" else [CLOCK, WEATHER],
        tool_choice="required" if choice == "required" else {"type": "function", "function": {"name": "get_weather"}},
        seed=seed,
        temperature=1.0,
        max_tokens=200,
        parallel_tool_calls=False,
    )
    assert whole.choices[0].finish_reason == "tool_calls"
    (call,) = list(whole.choices[0].message.tool_calls or ())
    assert isinstance(call, ChatCompletionMessageFunctionToolCall)
    arguments = json.loads(call.function.arguments)
    if call.function.name == "get_weather":
        assert set(arguments) == {"city", "unit"}
        assert arguments["unit"] in ("C", "F")
    else:
        assert choice == "required"
        assert call.function.name == "get_time"


def test_json_schema(client: openai.OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"colour": {"enum": ["red", "green"]}, "count": {"type": "integer", "maximum": 9, "minimum": 0}},
        "required": ["colour", "count"],
        "additionalProperties": False,
    }
    whole = client.chat.completions.create(
        model=MODEL,
        messages=ASK,
        max_tokens=60,
        response_format={"type": "json_schema", "json_schema": {"name": "pick", "schema": schema}},
    )
    value = json.loads(answer(whole))
    assert value["colour"] in ("red", "green")
    assert 0 <= value["count"] <= 9


@pytest.mark.parametrize("top", [0, 3])
def test_logprobs_add_up_to_the_text(client: openai.OpenAI, top: int) -> None:
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Say: naïve café 👍"}]
    whole = client.chat.completions.create(
        model=MODEL, messages=messages, logprobs=True, top_logprobs=top, max_tokens=12, seed=5
    )
    logprobs = whole.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    assert b"".join(bytes(token.bytes or []) for token in logprobs.content).decode() == answer(whole)
    for token in logprobs.content:
        assert token.logprob <= 0
        assert len(token.top_logprobs) == top


def test_logit_bias_forces_a_token(client: openai.OpenAI) -> None:
    """Token 100 gets all the weight there is; the same request without the bias says something else."""
    plain, forced = (
        answer(client.chat.completions.create(model=MODEL, messages=ASK, max_tokens=3, temperature=0, logit_bias=bias))
        for bias in ({}, {"100": 100})
    )
    assert plain != forced
    assert forced == forced[: len(forced) // 3] * 3


def test_too_long_a_prompt(client: openai.OpenAI) -> None:
    with pytest.raises(
        openai.BadRequestError, match=r"maximum context length is 8192 tokens\. However, your"
    ) as caught:
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "hello " * 9000}])
    assert caught.value.code == "context_length_exceeded"
    assert caught.value.param == "messages"


def test_a_client_that_leaves_frees_the_slot_within_a_second(client: openai.OpenAI, server: Served) -> None:
    stream = client.chat.completions.create(model=MODEL, messages=STORY, max_tokens=4000, stream=True)
    for _, _ in zip(range(5), stream, strict=False):
        pass
    assert busy(client) == 1
    stream.close()
    assert eventually(lambda: busy(client) == 0, within=1.0)
    assert eventually(lambda: engine_of(server).cpu_percent(0.2) < 20, within=5.0), "the engine still works"


@pytest.mark.parametrize("after", [1, 9, 30])
def test_an_answer_outlives_its_engine_without_a_seam(client: openai.OpenAI, server: Served, after: int) -> None:
    """The engine is killed in mid-stream; started again, it says the same, and the client sees a pause."""

    def texts(*, kill: bool) -> Iterator[str]:
        stream = client.chat.completions.create(
            model=MODEL, messages=STORY, max_tokens=60, temperature=0.8, seed=after, stream=True, timeout=90
        )
        for number, chunk in enumerate(stream):
            if kill and number == after:
                os.kill(engine_of(server).pid, signal.SIGKILL)
            yield chunk.choices[0].delta.content or ""

    assert "".join(texts(kill=True)) == "".join(texts(kill=False))


def test_killing_the_engine_twice_in_one_answer_is_an_error_and_the_next_request_is_answered(
    client: openai.OpenAI, server: Served
) -> None:
    stream = client.chat.completions.create(model=MODEL, messages=STORY, max_tokens=4000, stream=True, timeout=90)
    for _, _ in zip(range(8), stream, strict=False):
        pass
    first = engine_of(server)
    os.kill(first.pid, signal.SIGKILL)
    for _, _ in zip(range(4), stream, strict=False):  # it goes on
        pass
    os.kill(engine_of(server).pid, signal.SIGKILL)
    with pytest.raises(openai.APIError, match="local engine stopped"):
        list(stream)
    assert answer(client.chat.completions.create(model=MODEL, messages=ASK, max_tokens=5, timeout=60))


def test_more_requests_than_slots_wait_their_turn(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model=MODEL, messages=ASK, n=8, max_tokens=4)
    assert len(whole.choices) == 8
    assert {choice.finish_reason for choice in whole.choices} == {"length"}


def test_sigterm_lets_a_stream_finish_and_ends(model_path: object) -> None:
    with serving() as server, openai.OpenAI(base_url=server.url, api_key="unused", max_retries=0) as client:
        stream = client.chat.completions.create(model=MODEL, messages=STORY, max_tokens=60, stream=True)
        next(iter(stream))
        server.process.send_signal(signal.SIGTERM)
        assert eventually(lambda: _refused(client), within=5.0)
        assert [chunk.choices[0].finish_reason for chunk in stream][-1] == "length"
        assert server.process.wait(20) == 0
        assert not any("Traceback" in line for line in server.log)


def _refused(client: openai.OpenAI) -> bool:
    """Whether new requests get 503 and Retry-After."""
    try:
        client.chat.completions.create(model=MODEL, messages=ASK, max_tokens=1)
    except openai.InternalServerError as error:
        return error.status_code == 503 and "retry-after" in error.response.headers
    return False


def test_killing_the_server_kills_the_engine(model_path: object) -> None:
    with serving() as server, openai.OpenAI(base_url=server.url, api_key="unused", max_retries=2) as client:
        client.chat.completions.create(model=MODEL, messages=ASK, max_tokens=1)
        engine = engine_of(server)
        server.process.kill()
        assert eventually(lambda: not engine.is_running() or engine.status() == "zombie", within=5.0)
