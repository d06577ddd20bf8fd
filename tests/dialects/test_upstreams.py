"""The table of upstreams: who is in it, what they are asked, and that each reads what its vendor really sent."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from riverrun.dialects.openai import OpenAI
from riverrun.dialects.rows import ROWS
from riverrun.failures import Failure
from riverrun.stream.deltas import Finish, Reasoning, Text, ToolOpen, Usage
from tests.dialects.asks import ask, read_bytes, reader, refused, sent, target

RECORDINGS = Path(__file__).parents[2] / "../shared/recordings/openai"

VENDORS = {
    "api.openai.com": "openai",
    "openrouter.ai": "openrouter",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral",
    "api.deepseek.com": "deepseek",
    "api.cerebras.ai": "cerebras",
    "router.huggingface.co": "huggingface",
    "api.z.ai": "zai",
    "snowflakecomputing.com": "snowflake",
    "localhost:11434": "ollama-compatible",
}
"""Which row speaks for a recorded host; the others are plainly compatible."""

NAMED = {
    "openai", "azure", "azure-deployments", "openrouter", "groq", "mistral", "deepseek", "xai", "together", "fireworks",
    "cerebras", "perplexity", "huggingface", "zai", "moonshot", "qwen", "snowflake", "cohere-compatible", "vllm",
    "sglang", "llamacpp", "lmstudio", "ollama-compatible", "responses",
}  # fmt: skip
TOOLS = [{"type": "function", "function": {"name": name}} for name in ("f", "g")]


def test_everybody_is_there() -> None:
    assert set(ROWS) >= NAMED


@pytest.mark.parametrize("name", ROWS)
def test_an_address_is_one_that_a_path_can_follow(name: str) -> None:
    row = ROWS[name]
    assert row.path.startswith("/")
    if row.base_url is not None:
        url = urlsplit(row.base_url)
        assert (url.scheme in ("http", "https"), bool(url.netloc), row.base_url.endswith("/")) == (True, True, False)
        assert url.scheme == "https" or url.hostname == "localhost"
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]+", variable) for variable in row.env)


def vendor(url: str) -> str:
    host = urlsplit(url).netloc
    return next((row for known, row in VENDORS.items() if host.endswith(known)), "compatible")


@pytest.mark.skipif(not RECORDINGS.exists(), reason="the recordings are not here")
@pytest.mark.parametrize("path", sorted(RECORDINGS.glob("*.json")), ids=lambda path: path.name[:70])
def test_a_recording_reads_with_its_vendors_row(path: Path) -> None:
    record = json.loads(path.read_text(encoding="utf-8"))
    body, to = record["body"].encode(), target(vendor(record["url"]))
    streamed = ".stream." in path.name
    if record["status"] != 200 or not (streamed or body.startswith(b"{")):
        return
    if b"event: error" in body:  # Groq: its model wrote a call that is none
        with pytest.raises(Failure, match="tool call"):
            read_bytes(body, [len(body)], to)
        return
    deltas = read_bytes(body, [len(body)], to) if streamed else reader(to).whole(body)
    assert [each.choice for each in deltas if isinstance(each, Finish)] == [0]
    assert any(isinstance(each, Text | ToolOpen | Reasoning) for each in deltas)
    assert any(isinstance(each, Usage) for each in deltas)


def test_azure_names_the_deployment_in_its_path_or_in_the_body() -> None:
    to = msgspec.structs.replace(target("azure-deployments"), model="my gpt")
    assert OpenAI().encode(ask(), to).path == "/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21"
    assert OpenAI().encode(ask(), target("azure")).path == "/chat/completions"
    for row in (ROWS["azure"], ROWS["azure-deployments"]):
        assert (row.auth, row.base_url) == ("header:api-key", None)  # its key is for nobody else


def test_mistral_is_asked_in_its_own_words() -> None:
    one = ask(seed=7, max_completion_tokens=9, user="u", messages=[{"role": "developer", "content": "Be brief"}])
    body = sent(one, target("mistral"))
    assert (body["random_seed"], body["max_tokens"], body["messages"][0]["role"]) == (7, 9, "system")
    assert not {"seed", "max_completion_tokens", "user", "stream_options"} & body.keys()
    assert refused(ask(logit_bias={"1": 5}), target("mistral")).param == "logit_bias"


def test_groq_is_not_asked_for_probabilities_and_not_told_that_nobody_wants_them() -> None:
    assert not {"logprobs", "top_logprobs"} & sent(ask(logprobs=False), target("groq")).keys()
    assert refused(ask(logprobs=True), target("groq")).param == "logprobs"


@pytest.mark.parametrize("row", ["deepseek", "together", "zai", "lmstudio", "ollama-compatible", "llamacpp", "mistral"])
def test_where_only_max_tokens_is_known_the_newer_name_becomes_it(row: str) -> None:
    body = sent(ask(max_completion_tokens=9), target(row))
    assert (body["max_tokens"], "max_completion_tokens" in body) == (9, False)


@pytest.mark.parametrize(
    ("choice", "names"),
    [(None, ["f", "g"]), ("auto", ["f", "g"]), ("none", [])],
)
def test_where_a_call_cannot_be_asked_for_a_choice_is_an_offer(choice: str | None, names: list[str]) -> None:
    body = sent(ask(tools=TOOLS, tool_choice=choice), target("ollama-compatible"))
    assert [tool["function"]["name"] for tool in body.get("tools", [])] == names
    assert "tool_choice" not in body


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "f"}}])
def test_where_a_call_cannot_be_asked_for_asking_is_refused(choice: Any) -> None:
    assert refused(ask(tools=TOOLS, tool_choice=choice), target("ollama-compatible")).param == "tool_choice"


def test_where_a_call_cannot_be_asked_for_some_tools_are_still_not_offered() -> None:
    some = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": TOOLS[1:]}}
    assert sent(ask(tools=TOOLS, tool_choice=some), target("ollama-compatible"))["tools"] == TOOLS[1:]


@pytest.mark.parametrize(
    ("row", "model", "way"),
    [
        ("openai", "gpt-5", "none"),
        ("openrouter", "anthropic/claude-sonnet-4.6", "none"),
        ("deepseek", "deepseek-chat", "prefix"),
        ("qwen", "qwen3-max", "partial"),
        ("qwen", "qwen3-vl-32b-thinking", "none"),
        ("qwen", "qwq-plus", "none"),
        ("sglang", "any", "continue_final_message"),
        ("llamacpp", "any", "plain"),
    ],
)
def test_who_goes_on_with_a_broken_answer_and_how(row: str, model: str, way: str) -> None:
    assert ROWS[row].prefill_of(model) == way
