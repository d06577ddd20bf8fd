from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from riverrun.dialects.rows import ROWS
from tests.dialects.anthropic_says import NEW, OLD, claude, outgoing, refused, sent
from tests.dialects.asks import HELLO, ask

TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
    for name in ("f", "g")
]
SCHEMA = {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": "string"}}}}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA}}


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def file(**fields: str) -> dict[str, Any]:
    return {"type": "file", "file": fields}


def user(*parts: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


def content(*parts: Any) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = sent(ask(messages=user(*parts)))["messages"][0]["content"]
    return blocks


def test_the_request_that_the_api_documents() -> None:
    body = sent(ask(stop=["END", ""], max_completion_tokens=7, max_tokens=9, temperature=0.5, top_p=0.9, top_k=3))
    assert body == {
        "model": "claude-sonnet-4-5",
        "stream": True,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
        "max_tokens": 7,
        "stop_sequences": ["END"],
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 3,
    }
    out = outgoing(ask())
    assert (out.path, out.headers) == ("/messages", (("anthropic-version", "2023-06-01"),))
    assert ROWS["anthropic"].auth == "header:x-api-key"


@pytest.mark.parametrize(
    ("model", "limit"), [("claude-3-haiku-20240307", 4096), ("claude-opus-4-1", 32000), (NEW, 64000), ("glm-5", 8192)]
)
def test_the_limit_that_the_api_wants_is_the_models_own(model: str, limit: int) -> None:
    assert sent(ask(), claude(model))["max_tokens"] == limit


def test_instructions_stand_apart_and_the_turns_alternate() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
    messages = [
        {"role": "system", "content": "a"},
        {"role": "user", "content": "1"},
        {"role": "user", "content": [{"type": "text", "text": ""}, {"type": "text", "text": "2"}]},
        {
            "role": "assistant",
            "content": "3",
            "tool_calls": [call, {**call, "id": "c2", "function": {"name": "g", "arguments": ""}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "4"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "5"}]},
        {"role": "developer", "content": "b"},
        {"role": "user", "content": "6", "name": "Ann"},
    ]
    out = outgoing(ask(messages=messages, tools=TOOLS))
    body = json.loads(out.body)
    assert body["system"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert [(turn["role"], [block["type"] for block in turn["content"]]) for turn in body["messages"]] == [
        ("user", ["text", "text"]),
        ("assistant", ["text", "tool_use", "tool_use"]),
        ("user", ["tool_result", "tool_result", "text"]),
    ]
    assert body["messages"][1]["content"][1:] == [
        {"type": "tool_use", "id": "c1", "name": "f", "input": {"x": 1}},
        {"type": "tool_use", "id": "c2", "name": "g", "input": {}},
    ]
    results = body["messages"][2]["content"]
    assert results[1] == {"type": "tool_result", "tool_use_id": "c2", "content": [{"type": "text", "text": "5"}]}
    assert out.dropped == ("messages[7].name",)


def test_images_and_files() -> None:
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "QUJD"}
    assert content(
        image("data:image/png;base64,AAAA"),
        image("https://x.test/y.png"),
        file(file_data="data:application/pdf;base64,QUJD", filename="a.pdf"),
        file(file_data="QUJD", filename="A.PDF"),
        file(file_data="data:text/csv;base64,QUJD"),
        file(file_id="file_1"),
    ) == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
        {"type": "image", "source": {"type": "url", "url": "https://x.test/y.png"}},
        {"type": "document", "source": pdf, "title": "a.pdf"},
        {"type": "document", "source": pdf, "title": "A.PDF"},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "ABC"}},
        {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
    ]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        image("data:image/tiff;base64,AAAA"),
        image("data:image/png,AAAA"),
        image("data:;base64,AAAA"),
        file(file_data="data:application/zip;base64,AAAA"),
        file(file_data="data:text/plain;base64,/w=="),
        file(file_data="AAAA", filename="x.bin"),
        file(filename="x.pdf"),
    ],
)
def test_what_a_part_can_not_say_is_refused_by_its_place(part: Any) -> None:
    failure = refused(ask(messages=[*HELLO, *user({"type": "text", "text": "x"}, part)]))
    assert (failure.status, failure.param) == (400, "messages[1].content[1]")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"temperature": 1.5}, "temperature"),
        ({"logprobs": True}, "logprobs"),
        ({"logit_bias": {"1": 5}}, "logit_bias"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"presence_penalty": -1}, "presence_penalty"),
        ({"moderation": {"model": "x"}}, "moderation"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"modalities": ["text", "audio"], "audio": {"voice": "a", "format": "wav"}}, "modalities"),
        ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "tools[0].type"),
        ({"betas": "x"}, "betas"),
        ({"betas": ["a\r\nb: c"]}, "betas"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages"),
        ({"messages": [*HELLO, {"role": "assistant", "audio": {"id": "a"}}]}, "messages[1].audio"),
    ],
)
def test_what_changes_the_meaning_is_refused_by_name(body: dict[str, Any], param: str) -> None:
    failure = refused(ask(**body))
    assert (failure.status, failure.param) == (400, param)


@pytest.mark.parametrize("arguments", ["{", "[]", "5"])
def test_arguments_that_are_no_object_are_refused(arguments: str) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    messages = [
        *HELLO,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": ""},
    ]
    assert refused(ask(messages=messages)).param == "messages[1].tool_calls[0].function.arguments"


def test_values_that_say_nothing_and_hints() -> None:
    out = outgoing(
        ask(
            temperature=None,
            frequency_penalty=0,
            logprobs=False,
            logit_bias={},
            modalities=["text"],
            n=3,
            store=True,
            seed=7,
            verbosity="low",
            prompt_cache_key="k",
            service_tier="flex",
            vendor=1,
        )
    )
    assert set(json.loads(out.body)) == {"model", "messages", "stream", "max_tokens"}
    assert set(out.dropped) == {"seed", "verbosity", "prompt_cache_key", "service_tier", "vendor"}


def test_what_a_target_samples_with_by_itself() -> None:
    to = msgspec.structs.replace(claude(), sampling=(("temperature", 0.3), ("top_k", 5)))
    assert (sent(ask(), to)["temperature"], sent(ask(), to)["top_k"]) == (0.3, 5)
    assert sent(ask(temperature=0.9), to)["temperature"] == 0.9


def test_a_model_that_takes_no_sampling_is_told_none() -> None:
    assert "temperature" not in sent(ask(temperature=1), claude(NEW))
    assert refused(ask(temperature=0.5), claude(NEW)).param == "temperature"
    assert refused(ask(top_p=0.5), claude(NEW)).param == "top_p"


@pytest.mark.parametrize(
    ("body", "choice"),
    [
        ({}, {"type": "auto"}),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": {"type": "function", "function": {"name": "g"}}}, {"type": "tool", "name": "g"}),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
    ],
)
def test_tool_choice(body: dict[str, Any], choice: dict[str, Any]) -> None:
    written = sent(ask(tools=TOOLS, **body))
    assert written["tool_choice"] == choice
    assert [tool["name"] for tool in written["tools"]] == ["f", "g"]


def test_allowed_tools_are_the_only_ones_offered() -> None:
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "g"}}]}
    body = sent(ask(tools=TOOLS, tool_choice={"type": "allowed_tools", "allowed_tools": allowed}))
    assert ([tool["name"] for tool in body["tools"]], body["tool_choice"]) == (["g"], {"type": "any"})


def test_tools_without_parameters_and_strict_ones() -> None:
    functions = [
        {"name": "f"},
        {"name": "g", "description": "d", "strict": True, "parameters": {"properties": {"a": {}}}},
    ]
    tools = [{"type": "function", "function": function} for function in functions]
    plain = {"type": "object", "properties": {}}
    assert sent(ask(tools=tools))["tools"] == [
        {"name": "f", "input_schema": plain},
        {
            "name": "g",
            "description": "d",
            "input_schema": {"type": "object", "properties": {"a": {}}, "additionalProperties": False},
            "strict": True,
        },
    ]
    assert "strict" not in sent(ask(tools=tools), claude(OLD))["tools"][1]


def test_the_deprecated_functions() -> None:
    body = sent(ask(functions=[{"name": "f"}], function_call={"name": "f"}))
    assert body["tool_choice"] == {"type": "tool", "name": "f", "disable_parallel_tool_use": True}


def test_a_schema_goes_to_the_model_that_can_hold_to_it() -> None:
    body = sent(ask(response_format=FORMAT))
    inner = {"type": "object", "properties": {"b": {"type": "string"}}, "additionalProperties": False}
    closed = {"type": "object", "properties": {"a": inner}, "additionalProperties": False}
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": closed}}
    assert "tools" not in body


@pytest.mark.parametrize("model", [OLD, "claude-sonnet-4-5"])
def test_else_the_answer_is_a_tool_that_must_be_called(model: str) -> None:
    wanted = FORMAT if model == OLD else {"type": "json_object"}
    name, schema = ("city", SCHEMA) if model == OLD else ("json_answer", {"type": "object"})
    body = sent(ask(response_format=wanted), claude(model))
    assert [(tool["name"], tool["input_schema"]) for tool in body["tools"]] == [(name, schema)]
    assert body["tool_choice"] == {"type": "tool", "name": name, "disable_parallel_tool_use": True}
    both = sent(ask(response_format=wanted, tools=TOOLS), claude(model))
    assert ([tool["name"] for tool in both["tools"]], both["tool_choice"]) == (["f", "g", name], {"type": "any"})


@pytest.mark.parametrize(
    ("model", "effort", "told"),
    [
        (OLD, "medium", {"thinking": {"type": "enabled", "budget_tokens": 10000}}),
        (OLD, "max", {"thinking": {"type": "enabled", "budget_tokens": 32000}}),
        (OLD, "none", {}),
        ("claude-opus-4-6", "xhigh", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
        (
            NEW,
            "minimal",
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "low"}},
        ),
        (NEW, "none", {"thinking": {"type": "disabled"}}),
    ],
)
def test_effort(model: str, effort: str, told: dict[str, Any]) -> None:
    body = sent(ask(reasoning_effort=effort), claude(model))
    assert {name: value for name, value in body.items() if name in ("thinking", "output_config")} == told


@pytest.mark.parametrize(
    ("model", "body"),
    [
        ("claude-3-5-haiku-latest", {"reasoning_effort": "high"}),
        ("claude-fable-5", {"reasoning_effort": "none"}),
        (OLD, {"reasoning_effort": "high", "max_tokens": 2000}),
        (NEW, {"reasoning_effort": "high", "thinking": {"type": "disabled"}}),
    ],
)
def test_an_effort_that_can_not_be_told_is_a_dropped_hint(model: str, body: dict[str, Any]) -> None:
    out = outgoing(ask(**body), claude(model))
    assert out.dropped == ("reasoning_effort",)
    assert json.loads(out.body).get("thinking") == body.get("thinking")


def test_a_format_and_an_effort_and_the_callers_own_share_a_place() -> None:
    own = {"task_budget": {"type": "tokens", "total": 1}}
    body = sent(ask(response_format=FORMAT, reasoning_effort="low", output_config=own), claude(NEW))
    assert set(body["output_config"]) == {"task_budget", "format", "effort"}


def test_signed_thoughts_go_back_as_they_were() -> None:
    details = [
        {"type": "reasoning.text", "signature": "s1", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": "zz", "format": "anthropic-claude-v1", "index": 1},
        {"type": "reasoning.text", "text": " two", "signature": "s2", "index": 2},
        {"type": "reasoning.text", "text": "x", "signature": "theirs", "format": "google-gemini-v1", "index": 3},
    ]
    answer = {"role": "assistant", "content": "Hi", "reasoning_content": "one two", "reasoning_details": details}
    body = sent(ask(messages=[*HELLO, answer, *HELLO]))
    assert body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "one", "signature": "s1"},
        {"type": "redacted_thinking", "data": "zz"},
        {"type": "thinking", "thinking": " two", "signature": "s2"},
        {"type": "text", "text": "Hi"},
    ]


def test_cache_points() -> None:
    def text(**point: str) -> dict[str, Any]:
        return {"type": "text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit", **point}}

    assert [block["cache_control"] for block in content(text(), text(ttl="30m"), text(ttl="12h"))] == [
        {"type": "ephemeral"},
        {"type": "ephemeral", "ttl": "1h"},
        {"type": "ephemeral", "ttl": "1h"},
    ]
    system = sent(ask(messages=[{"role": "system", "content": [text()]}, *HELLO]))["system"]
    assert system == [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]


def test_who_asks_and_how_fast() -> None:
    assert sent(ask(user="u", safety_identifier="s"))["metadata"] == {"user_id": "s"}
    assert sent(ask(user="u"))["metadata"] == {"user_id": "u"}
    assert sent(ask(service_tier="default"))["service_tier"] == "standard_only"


def test_beta_features_are_named_in_a_header() -> None:
    out = outgoing(ask(betas=["context-1m-2025-08-07", "x"]))
    assert out.headers[1] == ("anthropic-beta", "context-1m-2025-08-07,x")
    assert "betas" not in json.loads(out.body)


def test_an_answer_that_broke_off_is_the_last_turn() -> None:
    one = msgspec.structs.replace(ask(), prefill="Once upon")
    assert sent(one)["messages"][-1] == {"role": "assistant", "content": [{"type": "text", "text": "Once upon"}]}


@pytest.mark.parametrize(
    ("model", "way"),
    [("claude-sonnet-4-5", "plain"), ("claude-3-7-sonnet-latest", "plain"), (NEW, "none"), ("claude-opus-4-6", "none")],
)
def test_newer_models_are_never_sent_the_start_of_their_answer(model: str, way: str) -> None:
    assert ROWS["anthropic"].prefill_of(model) == way
