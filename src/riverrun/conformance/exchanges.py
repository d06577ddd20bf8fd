"""The requests that are sent to an endpoint, and what a refusal of the bad ones must say.

A body here has no model; the probe puts the one in that it was given. Bytes are sent as they are.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from riverrun.wire.jsonvalue import JsonValue

Body = dict[str, JsonValue]
CHAT = "/chat/completions"


class Refusal(msgspec.Struct, frozen=True):
    """What must come back for a bad request. An empty `codes` takes any code, a `param` of None any param."""

    status: int = 400
    codes: tuple[str | None, ...] = ()
    param: str | None = None


class Exchange(msgspec.Struct, frozen=True):
    """One request. `leave` hangs up after the first content; `same_connection` uses the one of the row above."""

    name: str
    body: Body | bytes
    rules: str = "F,I,O,U"
    path: str = CHAT
    refusal: Refusal | None = None
    keep_model: bool = True
    leave: bool = False
    same_connection: bool = False
    method: Literal["POST", "GET"] = "POST"


def user(text: str) -> JsonValue:
    """A conversation of one message."""
    return [{"role": "user", "content": text}]


def function(name: str, *, strict: bool = False) -> JsonValue:
    """A tool that takes a city."""
    parameters: JsonValue = {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    }
    return {
        "type": "function",
        "function": {"name": name, "description": "Look up a city.", "parameters": parameters, "strict": strict},
    }


SHORT: Body = {"messages": user("Say hello in five words."), "max_tokens": 24, "temperature": 0, "seed": 7}
USAGE: Body = {"stream": True, "stream_options": {"include_usage": True}}
WEATHER = user("What is the weather in Paris and in Rome? Use the tools.")
TOOLS: Body = {
    "messages": WEATHER,
    "tools": [function("get_weather"), function("get_time")],
    "max_tokens": 200,
    "temperature": 0,
    "seed": 7,
}
FORCED: Body = {**TOOLS, "tool_choice": {"type": "function", "function": {"name": "get_weather"}}}
LONG: Body = {
    "messages": user("Write a very long story about a river, at least 2000 words."),
    "stream": True,
    "max_tokens": 1500,
}
SCHEMA: JsonValue = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "country": {"type": "string"}},
    "required": ["city", "country"],
    "additionalProperties": False,
}
COUNT: Body = {"messages": user("Count from 1 to 20, with a comma after each number."), "temperature": 0, "seed": 7}
EMOJI = "Repeat exactly: 👩‍👩‍👧‍👦 🏳️‍🌈 漢字かな交じり文 ñandú Ελληνικά 🙂🙃 العربية 🇫🇷"
NULLABLE = (
    "audio", "frequency_penalty", "logit_bias", "logprobs", "max_completion_tokens", "metadata", "modalities", "n",
    "prediction", "presence_penalty", "response_format", "seed", "service_tier", "stop", "store", "stream_options",
    "temperature", "top_logprobs", "top_p",
)  # fmt: skip
NULLS: Body = {"messages": user("Say hello."), "max_tokens": 8, **dict.fromkeys(NULLABLE)}
TOOL_WITHOUT_CALL: JsonValue = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello"},
    {"role": "tool", "tool_call_id": "call_1", "content": "42"},
]

GOOD: tuple[Exchange, ...] = (
    Exchange("text", {**SHORT, **USAGE}, "F,I,O,U,Q,C4"),
    Exchange("reuse", {**SHORT}, "C4", same_connection=True),
    Exchange("text-again", {**SHORT, **USAGE}, "Q"),
    Exchange("no-usage", {**SHORT, "stream": True}, "U1"),
    Exchange("many", {**SHORT, **USAGE, "n": 3, "temperature": 1}, "N,O,U"),
    Exchange("tools", {**TOOLS, **USAGE}, "T,O,U"),
    Exchange("parallel-tools", {**TOOLS, **USAGE, "parallel_tool_calls": True, "tool_choice": "required"}, "T,O,U"),
    Exchange("forced-tool", {**FORCED, **USAGE}, "T,O,U,Q"),
    Exchange("forced-tool-whole", {**FORCED}, "Q"),
    Exchange("schema", {**COUNT, **USAGE, "messages": user("Where is Paris? Answer in JSON."), "max_tokens": 120,
             "response_format": {"type": "json_schema",
             "json_schema": {"name": "place", "strict": True, "schema": SCHEMA}}}),
    Exchange("logprobs", {**SHORT, **USAGE, "logprobs": True, "top_logprobs": 2}, "L,Q"),
    Exchange("logprobs-whole", {**SHORT, "logprobs": True, "top_logprobs": 2}, "Q"),
    Exchange("stop", {**COUNT, **USAGE, "max_tokens": 80, "stop": ["5", "five"]}, "B14"),
    Exchange("length", {**COUNT, **USAGE, "max_tokens": 5}, "B11,B13"),
    Exchange("length-new-name", {**COUNT, **USAGE, "max_completion_tokens": 5}, "B11,B13"),
    Exchange("emoji", {"messages": user(EMOJI), **USAGE, "max_tokens": 150, "temperature": 0}, "F13,F14"),
    Exchange("flow", {**LONG, **USAGE, "max_tokens": 100}, "F17"),
    Exchange("developer",
             {**SHORT, "messages": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hi"}]},
             "B11"),
    Exchange("nulls", {**NULLS, "stream": None}, "B10"),
    Exchange("unknown-parameter", {**SHORT, "riverrun_no_such_parameter": 1}, "B12"),
)  # fmt: skip

BAD: tuple[Exchange, ...] = (
    Exchange("bad-json", b'{"model": "x", "messages": [', "B1,E2,E7", refusal=Refusal()),
    Exchange("not-an-object", b"[1, 2]", "B2,E2,E7", refusal=Refusal()),
    Exchange("no-model", {**SHORT}, "B3,E2,E7", refusal=Refusal(), keep_model=False),
    Exchange("no-messages", {"max_tokens": 8}, "B3,E2,E7",
             refusal=Refusal(400, ("missing_required_parameter",), "messages")),
    Exchange("wrong-type", {**SHORT, "messages": ["hi"]}, "B4,E2,E7",
             refusal=Refusal(400, ("invalid_type",), "messages[0]")),
    Exchange("above-range", {**SHORT, "temperature": 200}, "B5,E2,E7",
             refusal=Refusal(400, ("decimal_above_max_value",), "temperature")),
    Exchange("below-range", {**SHORT, "n": 0}, "B5,E2,E7", refusal=Refusal(400, ("integer_below_min_value",), "n")),
    Exchange("bad-enum", {**SHORT, "messages": [{"role": "x", "content": "hi"}]}, "B6,E2,E7",
             refusal=Refusal(400, ("invalid_value",), "messages[0].role")),
    Exchange("empty-messages", {**SHORT, "messages": []}, "B7,E2,E7",
             refusal=Refusal(400, ("empty_array",), "messages")),
    Exchange("bad-tool-history", {**SHORT, "messages": TOOL_WITHOUT_CALL}, "B8,E2,E7",
             refusal=Refusal(400, (), "messages.[2].role")),
    Exchange("unknown-model", {**SHORT, "model": "riverrun-no-such-model"}, "B9,E2,E7",
             refusal=Refusal(404, ("model_not_found",))),
    Exchange("stream-not-boolean", {**SHORT, "stream": "yes"}, "B10,E2,E7", refusal=Refusal(400, (), "stream")),
    Exchange("wrong-type-streamed", {**SHORT, "messages": ["hi"], "stream": True}, "E1,E2,E7", refusal=Refusal()),
    Exchange("unknown-model-streamed", {**SHORT, "model": "riverrun-no-such-model", "stream": True}, "E1,E2,E7",
             refusal=Refusal(404)),
    Exchange("unknown-route", {**SHORT}, "E2,E7,E8", path="/no/such/route", refusal=Refusal(404)),
)  # fmt: skip

ABANDONED = 8
CANCELLING: tuple[Exchange, ...] = (
    Exchange("before-cancel", {**SHORT, **USAGE}, "C1"),
    *(Exchange(f"cancel-{number}", LONG, "C1", leave=True) for number in range(1, ABANDONED + 1)),
    Exchange("after-cancel", {**SHORT, **USAGE}, "C1"),
)

EXCHANGES: tuple[Exchange, ...] = (*GOOD, *BAD, *CANCELLING)
BY_NAME = {exchange.name: exchange for exchange in EXCHANGES}
