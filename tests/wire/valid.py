"""Valid requests to start from, and a strategy for more of them."""

from __future__ import annotations

import msgspec
from hypothesis import strategies as st

from riverrun.wire.jsonvalue import JsonValue

TEXT: dict[str, JsonValue] = {"type": "text", "text": "What is this?"}
CALL: dict[str, JsonValue] = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "look", "arguments": '{"q":"river"}'},
}
TOOL: dict[str, JsonValue] = {
    "type": "function",
    "function": {"name": "look", "parameters": {"type": "object"}, "strict": True},
}
CUSTOM: dict[str, JsonValue] = {
    "type": "custom",
    "custom": {
        "name": "write",
        "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: /a+/"}},
    },
}

MESSAGES: list[dict[str, JsonValue]] = [
    {"role": "developer", "content": "Be kind."},
    {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
    {
        "role": "user",
        "name": "ann",
        "content": [
            TEXT | {"prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
            {"type": "file", "file": {"filename": "a.txt", "file_data": "AA=="}},
        ],
    },
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": "found"},
    {"role": "assistant", "content": [TEXT, {"type": "refusal", "refusal": "No."}], "audio": {"id": "a_1"}},
    {"role": "assistant", "function_call": {"name": "look", "arguments": "{}"}},
    {"role": "function", "name": "look", "content": None},
    {"role": "user", "content": ""},
]

FULL: dict[str, JsonValue] = {
    "messages": list(MESSAGES),
    "model": "river",
    "audio": {"voice": {"id": "v_1"}, "format": "pcm16"},
    "frequency_penalty": -2,
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "max_completion_tokens": 10,
    "max_tokens": 20,
    "metadata": {"k" * 64: "v" * 512},
    "modalities": ["text", "audio"],
    "moderation": {"model": "mod", "policy": {"input": {"mode": "score"}, "output": {"mode": "block"}}},
    "n": 8,
    "parallel_tool_calls": False,
    "prediction": {"type": "content", "content": [TEXT]},
    "presence_penalty": 2.0,
    "prompt_cache_key": "k",
    "prompt_cache_options": {"mode": "explicit", "ttl": "30m"},
    "prompt_cache_retention": "24h",
    "reasoning_effort": "xhigh",
    "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}},
    "safety_identifier": "s",
    "seed": -(2**63),
    "service_tier": "fast",
    "stop": ["a", "b", "c", "d"],
    "store": True,
    "stream": True,
    "stream_options": {"include_usage": True, "include_obfuscation": False},
    "temperature": 2,
    "tool_choice": {
        "type": "allowed_tools",
        "allowed_tools": {
            "mode": "auto",
            "tools": [
                {"type": "custom", "custom": {"name": "write"}},
                {"type": "function", "function": {"name": "look"}},
            ],
        },
    },
    "tools": [TOOL, CUSTOM],
    "top_logprobs": 20,
    "top_p": 1,
    "user": "u",
    "verbosity": "low",
    "web_search_options": {"search_context_size": "low", "user_location": {"type": "approximate", "approximate": {}}},
}
"""Every parameter of today's API, most of them at a limit; the deprecated `functions` exclude `tools`."""

LEGACY: dict[str, JsonValue] = {
    "model": "river",
    "messages": [{"role": "user", "content": "Hi"}],
    "functions": [{"name": "look", "description": "Looks."}],
    "function_call": {"name": "look"},
}

OPTIONAL = sorted(set(FULL) - {"messages", "model", "audio", "modalities", "logprobs", "top_logprobs"})


def encode(body: object) -> bytes:
    return msgspec.json.encode(body)


def with_(**changes: object) -> bytes:
    """The smallest request, with these parameters."""
    return encode({"model": "river", "messages": [{"role": "user", "content": "Hi"}], **changes})


json_values: st.SearchStrategy[JsonValue] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcxyz_.[]", max_size=6), inner, max_size=4),
    max_leaves=12,
)
