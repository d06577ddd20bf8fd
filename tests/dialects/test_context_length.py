from __future__ import annotations

import pytest

from riverrun.dialects.context_length import too_long
from riverrun.failures import Cause
from tests.dialects.asks import target


@pytest.mark.parametrize(
    "message",
    [
        "prompt is too long: 210266 tokens > 200000 maximum",
        "The model returned the following errors: prompt is too long: 210266 tokens > 200000 maximum",
    ],
)
def test_with_numbers_it_has_the_official_wording(message: str) -> None:
    failure = too_long(message, target())
    assert failure is not None
    assert failure.cause is Cause.CONTEXT_TOO_LONG
    assert "maximum context length is 200000 tokens. However, your messages resulted in 210266" in failure.message


@pytest.mark.parametrize(
    "message",
    [
        "prompt is too long",
        "input length and `max_tokens` exceed context limit: 198214 + 8192 > 200000, decrease input length",
        "Input is too long for requested model.",
    ],
)
def test_without_them_it_has_the_upstreams(message: str) -> None:
    failure = too_long(message, target())
    assert failure is not None
    assert (failure.cause, failure.message) == (Cause.CONTEXT_TOO_LONG, message)


@pytest.mark.parametrize("message", ["", "max_tokens: too large", "you said: prompt is too long"])
def test_every_other_message_is_another_error(message: str) -> None:
    assert too_long(message, target()) is None
