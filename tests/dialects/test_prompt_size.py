from __future__ import annotations

from typing import Any

import pytest

from riverrun.dialects.rows import ROWS
from riverrun.failures import Cause
from tests.dialects.asks import ask, engine, refused, sent, target

LONGEST = ROWS["engine"].longest_token
FULL = LONGEST * 100


@pytest.mark.parametrize(
    "content",
    ["x" * (FULL + 1), "é" * (FULL // 2 + 1), [{"type": "text", "text": "x" * FULL}, {"type": "text", "text": "y"}]],
)
def test_a_prompt_whose_bytes_alone_are_too_many_is_refused_in_the_official_words(content: Any) -> None:
    failure = refused(ask(messages=[{"role": "user", "content": content}]), engine(context=100))
    assert (failure.status, failure.cause, failure.param) == (400, Cause.CONTEXT_TOO_LONG, "messages")
    assert failure.code == "context_length_exceeded"
    assert failure.message.startswith(
        "This model's maximum context length is 100 tokens. However, your messages resulted in at least 101 tokens."
    )


def test_a_prompt_that_may_fit_is_for_the_upstream_to_judge() -> None:
    full = ask(messages=[{"role": "user", "content": "x" * FULL}])
    assert sent(full, engine(context=100))
    assert sent(ask(messages=[{"role": "user", "content": "x" * FULL * 2}]), engine())
    assert sent(ask(messages=[{"role": "user", "content": "x" * FULL * 2}]), target(context=100))
