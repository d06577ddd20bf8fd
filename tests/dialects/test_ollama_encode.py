from __future__ import annotations

from typing import Any

import pytest

from riverrun.dialects.ollama import Ollama
from tests.dialects.asks import HELLO, ask
from tests.dialects.speaking import asked, at, dropped, refused

OLLAMA = Ollama()
TO = at("ollama")
PNG = "data:image/png;base64,iVBO"
PARAMETERS = {"type": "object", "properties": {"a": {"type": "integer"}}}
TOOLS = [
    {"type": "function", "function": {"name": "f", "description": "d", "parameters": PARAMETERS, "strict": True}},
    {"type": "function", "function": {"name": "g"}},
]


def test_a_plain_request() -> None:
    out = OLLAMA.encode(ask(), TO)
    assert (out.path, out.dropped) == ("/api/chat", ())
    assert asked(OLLAMA, TO) == {"model": "theirs", "stream": True, "messages": HELLO}


def test_settings_are_options() -> None:
    body = asked(
        OLLAMA, TO, temperature=0.5, top_p=0.9, frequency_penalty=1, presence_penalty=-1, max_tokens=7, stop="x",
        seed=-1, top_k=4, num_ctx=8192, logprobs=True, top_logprobs=2, num_gpu=5, keep_alive=-1,
    )  # fmt: skip
    assert body["options"] == {
        "temperature": 0.5, "top_p": 0.9, "frequency_penalty": 1, "presence_penalty": -1, "num_predict": 7,
        "stop": ["x"], "seed": 2**31 - 1, "top_k": 4, "num_ctx": 8192,
    }  # fmt: skip
    assert (body["logprobs"], body["top_logprobs"]) == (True, 2)
    assert "keep_alive" not in body
    assert dropped(OLLAMA, TO, num_gpu=5, keep_alive=-1) == ("num_gpu", "keep_alive")


def test_messages() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    body = asked(
        OLLAMA,
        TO,
        messages=[
            {"role": "developer", "content": "d"},
            {
                "role": "user",
                "content": [{"type": "text", "text": "what"}, {"type": "image_url", "image_url": {"url": PNG}}],
            },
            {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "1", "content": "sunny"},
            {"role": "assistant", "refusal": "no", "content": None},
        ],
    )
    assert body["messages"] == [
        {"role": "system", "content": "d"},
        {"role": "user", "content": "what", "images": ["iVBO"]},
        {
            "role": "assistant",
            "content": "",
            "thinking": "hm",
            "tool_calls": [{"id": "1", "function": {"index": 0, "name": "f", "arguments": {"a": 1}}}],
        },
        {"role": "tool", "content": "sunny", "tool_call_id": "1", "tool_name": "f"},
        {"role": "assistant", "content": "no"},
    ]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ],
)
def test_a_part_that_cant_be_said_is_named(part: dict[str, Any]) -> None:
    content = [{"type": "text", "text": "t"}, part]
    assert refused(OLLAMA, TO, messages=[{"role": "user", "content": content}]) == "messages[0].content[1]"


def test_tools() -> None:
    functions = [tool["function"] for tool in asked(OLLAMA, TO, tools=TOOLS)["tools"]]
    assert functions == [
        {"name": "f", "description": "d", "parameters": PARAMETERS},
        {"name": "g", "description": "", "parameters": {"type": "object", "properties": {}}},
    ]
    assert dropped(OLLAMA, TO, tools=TOOLS) == ("tools.function.strict",)


def test_a_choice_that_must_call_is_refused_and_one_that_must_not_shows_no_tools() -> None:
    named = {"type": "function", "function": {"name": "f"}}
    assert refused(OLLAMA, TO, tools=TOOLS, tool_choice="required") == "tool_choice"
    assert refused(OLLAMA, TO, tools=TOOLS, tool_choice=named) == "tool_choice"
    assert "tools" not in asked(OLLAMA, TO, tools=TOOLS, tool_choice="none")
    some = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [named]}}
    assert len(asked(OLLAMA, TO, tools=TOOLS, tool_choice=some)["tools"]) == 1


def test_structured_output() -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": PARAMETERS}}
    assert asked(OLLAMA, TO, response_format=wanted)["format"] == PARAMETERS
    assert asked(OLLAMA, TO, response_format={"type": "json_object"})["format"] == "json"
    assert "format" not in asked(OLLAMA, TO, response_format={"type": "text"})


@pytest.mark.parametrize(
    ("model", "effort", "think", "hints"),
    [
        ("gpt-oss:20b", "xhigh", "high", ()),
        ("gpt-oss:20b", "none", "low", ()),
        ("qwen3:8b", "none", False, ()),
        ("qwen3:8b", "high", None, ("reasoning_effort",)),
        ("qwen3:8b", None, None, ()),
    ],
)
def test_an_effort_is_a_word_or_a_switch(model: str, effort: str | None, think: object, hints: tuple[str, ...]) -> None:
    to = at("ollama", model)
    assert asked(OLLAMA, to, reasoning_effort=effort).get("think") == think
    assert dropped(OLLAMA, to, reasoning_effort=effort) == hints


@pytest.mark.parametrize("param", ["logit_bias", "web_search_options", "moderation"])
def test_what_changes_the_meaning_is_refused_by_name(param: str) -> None:
    values = {"logit_bias": {"1": 1}, "web_search_options": {}, "moderation": {"model": "m"}}
    assert refused(OLLAMA, TO, **{param: values[param]}) == param
