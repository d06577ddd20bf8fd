from __future__ import annotations

import json

import msgspec
import pytest
from msgspec import Raw

from riverrun.dialects.openai_logprobs import Spelling, trimmed

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


def token(text: str, logprob: float = -0.5, raw: bytes | None = None) -> dict[str, object]:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode() if raw is None else raw), "top_logprobs": []}


def spelled(*chunks: tuple[str | None, list[dict[str, object]]]) -> list[list[str]]:
    """The tokens that go with each chunk's text, for chunks of text and tokens."""
    spelling, out = Spelling(), []
    for text, tokens in chunks:
        logprobs = Raw(json.dumps({"content": tokens}).encode()) if tokens else Raw()
        found, _ = spelling.spelled(logprobs, 2, Raw(json.dumps(text).encode()))
        out.append([each["token"] for each in json.loads(found)] if found is not None else [])
    return out


def test_tokens_that_are_not_in_the_text_are_left_out() -> None:
    fence = (None, [token("```")]), ("{", [token("{")]), (" }", [token(" }")]), (None, [token("\n```")])
    assert spelled(*fence) == [[], ["{"], [" }"], []]
    thought = (None, [token("A")]), (None, [token(" {")]), (None, [token("</think>")]), ("A", [token("A")])
    assert spelled(*thought) == [[], [], [], ["A"]]


def test_a_token_that_is_partly_in_the_text_is_cut() -> None:
    assert spelled(('{"a"', [token("```{"), token('"a"')]), (":", [token(":")])) == [["{", '"a"'], [":"]]
    assert spelled(("{", [token("\n{}")]), ("}", [])) == [["{"], ["}"]]


def test_the_tokens_of_half_a_character_wait_for_the_other_half() -> None:
    halves = [token("\ufffd", raw=b"\xf0\x9f"), token("\ufffd", raw=b"\x94\xa5")]
    assert spelled((None, halves[:1]), ("\U0001f525", halves[1:]), ("a", [token("a")])) == [
        [],
        ["\ufffd", "\ufffd"],
        ["a"],
    ]


def test_text_that_comes_later_than_its_tokens_gets_them() -> None:
    assert spelled((None, [token("a")]), ("a", [token("n")]), ("nd", [token("d")])) == [[], ["a"], ["n", "d"]]


def test_text_without_tokens_has_none() -> None:
    assert spelled(("a", []), ("b", [token("b")])) == [[], ["b"]]
