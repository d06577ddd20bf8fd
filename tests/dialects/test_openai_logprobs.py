from __future__ import annotations

import json

import msgspec
import pytest
from msgspec import Raw

from riverrun.dialects.openai_logprobs import trimmed

TOP = [{"id": 7, "token": "a", "bytes": [97], "logprob": -0.5}, {"id": 8, "token": "b", "bytes": [98], "logprob": None}]
RAW = Raw(
    json.dumps({"content": [{"id": 7, "token": "a", "bytes": None, "logprob": -0.5, "top_logprobs": TOP}]}).encode()
)


def test_only_the_four_keys_and_as_many_alternatives_as_were_asked_for() -> None:
    content, refusal = trimmed(RAW, 2)
    assert refusal is None
    assert content is not None
    assert json.loads(content) == [
        {
            "token": "a",
            "logprob": -0.5,
            "bytes": None,
            "top_logprobs": [
                {"token": "a", "logprob": -0.5, "bytes": [97]},
                {"token": "b", "logprob": -9999.0, "bytes": [98]},
            ],
        }
    ]
    none, _ = trimmed(RAW, 0)
    assert none is not None
    assert json.loads(none)[0]["top_logprobs"] == []


@pytest.mark.parametrize("raw", [b"", b"null", b"{}", b'{"content":null,"refusal":[]}'])
def test_no_tokens_are_none(raw: bytes) -> None:
    assert trimmed(Raw(raw), 2) == (None, None)


def test_a_refusals_tokens_are_its_own() -> None:
    content, refusal = trimmed(Raw(b'{"refusal":[{"token":"n","logprob":-1,"bytes":null}]}'), 0)
    assert content is None
    assert refusal is not None


def test_what_is_no_list_of_tokens_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        trimmed(Raw(b'{"content":[{"token":5}]}'), 0)
