from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from riverrun.dialects.rows import ROWS
from tests.dialects.asks import HELLO, ask
from tests.dialects.bedrock_says import CLAUDE, NOVA, hosted, outgoing, refused, sent

TOOLS = [{"type": "function", "function": {"name": name, "description": "d"}} for name in ("f", "g")]
SPECS = [
    {"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object", "properties": {}}}, "description": "d"}}
    for name in ("f", "g")
]
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "city", "description": "d", "schema": SCHEMA}}


def user(*parts: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def file(**fields: str) -> dict[str, Any]:
    return {"type": "file", "file": fields}


def test_the_request_that_the_api_documents() -> None:
    out = outgoing(ask(stop="END", max_tokens=9, temperature=0.5, top_p=0.9, top_k=3))
    assert json.loads(out.body) == {
        "messages": [{"role": "user", "content": [{"text": "Hello"}]}],
        "inferenceConfig": {"maxTokens": 9, "stopSequences": ["END"], "temperature": 0.5, "topP": 0.9},
        "additionalModelRequestFields": {"top_k": 3},
    }
    assert out.path == "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream"
    assert out.headers[0][1].startswith("application/vnd.amazon.eventstream")
    assert (ROWS["bedrock"].auth, ROWS["bedrock-key"].auth) == ("sigv4", "bearer")
    assert set(sent(ask())) == {"messages"}


def test_an_arn_is_one_segment_of_the_path() -> None:
    assert outgoing(ask(), hosted("arn:aws:bedrock:us-east-1:1:p/x")).path.startswith(
        "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ap%2Fx/"
    )


def test_instructions_calls_and_results() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
    messages = [
        {"role": "developer", "content": "a"},
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "4"},
        *HELLO,
    ]
    body = sent(ask(messages=messages, tools=TOOLS))
    assert body["system"] == [{"text": "a"}]
    assert body["messages"][1:] == [
        {"role": "assistant", "content": [{"toolUse": {"toolUseId": "c1", "name": "f", "input": {"x": 1}}}]},
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": "c1", "content": [{"text": "4"}], "status": "success"}},
                {"text": "Hello"},
            ],
        },
    ]


def test_images_documents_and_cache_points() -> None:
    point = {"prompt_cache_breakpoint": {"mode": "explicit"}}
    parts = [
        {**image("data:image/jpeg;base64,AAAA"), **point},
        file(file_data="data:application/pdf;base64,QUJD", filename="my <secret> name.pdf"),
        file(file_data="QUJD", filename="x.md"),
    ]
    assert sent(ask(messages=user(*parts)))["messages"][0]["content"] == [
        {"image": {"format": "jpeg", "source": {"bytes": "AAAA"}}},
        {"cachePoint": {"type": "default"}},
        {"document": {"format": "pdf", "name": "Document 2", "source": {"bytes": "QUJD"}}},
        {"document": {"format": "md", "name": "Document 3", "source": {"bytes": "QUJD"}}},
    ]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        image("https://x.test/y.png"),
        image("data:image/tiff;base64,AAAA"),
        file(file_data="data:application/zip;base64,AAAA"),
        file(file_id="file_1"),
    ],
)
def test_what_a_part_can_not_say_is_refused_by_its_place(part: Any) -> None:
    failure = refused(ask(messages=user({"type": "text", "text": "x"}, part)))
    assert (failure.status, failure.param) == (400, "messages[0].content[1]")


@pytest.mark.parametrize("name", ["logprobs", "frequency_penalty", "temperature", "web_search_options"])
def test_what_changes_the_meaning_is_refused_by_name(name: str) -> None:
    values: dict[str, Any] = {"logprobs": True, "frequency_penalty": 1, "temperature": 1.5, "web_search_options": {}}
    assert refused(ask(**{name: values[name]})).param == name


def test_a_model_that_takes_no_sampling_is_told_none() -> None:
    opus = hosted("anthropic.claude-opus-5")
    assert "inferenceConfig" not in sent(ask(temperature=1), opus)
    assert refused(ask(temperature=0.2), opus).param == "temperature"


def test_what_a_target_samples_with_by_itself() -> None:
    to = msgspec.structs.replace(hosted(NOVA), sampling=(("temperature", 0.3),))
    assert sent(ask(), to).keys() == {"messages", "inferenceConfig"}
    assert sent(ask(), to)["inferenceConfig"] == {"temperature": 0.3}
    assert sent(ask(temperature=0.9), to)["inferenceConfig"] == {"temperature": 0.9}


def test_hints() -> None:
    out = outgoing(ask(seed=1, user="u", parallel_tool_calls=False, service_tier="fast", vendor=1, tools=TOOLS))
    assert set(out.dropped) == {"seed", "user", "parallel_tool_calls", "service_tier", "vendor"}
    assert sent(ask(service_tier="flex"))["serviceTier"] == {"type": "flex"}
    assert "serviceTier" not in sent(ask(service_tier="auto"))


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        ("auto", {"auto": {}}),
        ("required", {"any": {}}),
        ({"type": "function", "function": {"name": "g"}}, {"tool": {"name": "g"}}),
    ],
)
def test_tool_choice(choice: object, written: dict[str, Any]) -> None:
    assert sent(ask(tools=TOOLS, tool_choice=choice))["toolConfig"] == {"tools": SPECS, "toolChoice": written}
    assert "toolConfig" not in sent(ask(tools=TOOLS, tool_choice="none"))


def test_structured_output() -> None:
    schema = json.dumps({**SCHEMA, "additionalProperties": False}, separators=(",", ":"))
    written = {"jsonSchema": {"name": "city", "schema": schema, "description": "d"}}
    assert sent(ask(response_format=FORMAT))["outputConfig"] == {
        "textFormat": {"type": "json_schema", "structure": written}
    }
    config = sent(ask(response_format=FORMAT), hosted(NOVA))["toolConfig"]
    assert config["toolChoice"] == {"tool": {"name": "city"}}
    assert config["tools"][0]["toolSpec"]["inputSchema"] == {"json": SCHEMA}


def test_strict_tools() -> None:
    tools = [{"type": "function", "function": {"name": "f", "strict": True, "parameters": SCHEMA}}]
    spec = sent(ask(tools=tools))["toolConfig"]["tools"][0]["toolSpec"]
    assert (spec["strict"], spec["inputSchema"]["json"]["additionalProperties"]) == (True, False)
    assert "strict" not in sent(ask(tools=tools), hosted(NOVA))["toolConfig"]["tools"][0]["toolSpec"]


@pytest.mark.parametrize(
    ("model", "body", "told"),
    [
        (CLAUDE, {"reasoning_effort": "low"}, {"thinking": {"type": "enabled", "budget_tokens": 4096}}),
        (CLAUDE, {"thinking": {"type": "disabled"}}, {"thinking": {"type": "disabled"}}),
        (
            "us.anthropic.claude-sonnet-4-6",
            {"reasoning_effort": "high"},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
        ),
        ("qwen.qwen3-32b-v1:0", {"reasoning_config": "high"}, {"reasoning_config": "high"}),
        (CLAUDE, {"reasoning_effort": "none"}, None),
    ],
)  # fmt: skip
def test_thinking(model: str, body: dict[str, Any], told: dict[str, Any] | None) -> None:
    assert sent(ask(**body), hosted(model)).get("additionalModelRequestFields") == told


def test_an_effort_that_can_not_be_told_is_a_dropped_hint() -> None:
    assert outgoing(ask(reasoning_effort="high"), hosted(NOVA)).dropped == ("reasoning_effort",)


def test_signed_thoughts_go_back_as_they_were() -> None:
    details = [{"type": "reasoning.text", "signature": "s1"}, {"type": "reasoning.encrypted", "data": "zz"}]
    answer = {"role": "assistant", "content": "Hi", "reasoning_content": "one", "reasoning_details": details}
    assert sent(ask(messages=[*HELLO, answer, *HELLO]))["messages"][1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "one", "signature": "s1"}}},
        {"reasoningContent": {"redactedContent": "zz"}},
        {"text": "Hi"},
    ]


def test_converses_own_extras_and_an_answer_that_broke_off() -> None:
    one = msgspec.structs.replace(ask(guardrailConfig={"guardrailIdentifier": "g"}), prefill="Once")
    body = sent(one)
    assert body["guardrailConfig"] == {"guardrailIdentifier": "g"}
    assert body["messages"][-1] == {"role": "assistant", "content": [{"text": "Once"}]}
