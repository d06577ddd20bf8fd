from __future__ import annotations

import pytest

from riverrun.dialects.endings import reason_of, unreadable
from riverrun.dialects.rows import Row
from riverrun.failures import Cause, Failure
from tests.dialects.asks import target

ROW = Row(finish_reasons={"done": "stop", "oops": "error"})


def test_a_word_is_looked_up_and_never_guessed() -> None:
    assert reason_of("done", ROW, target()) == "stop"
    for word, cause in (("oops", Cause.UPSTREAM_ERROR), ("stop", Cause.UPSTREAM_MALFORMED)):
        with pytest.raises(Failure) as caught:
            reason_of(word, ROW, target())
        assert caught.value.cause is cause


@pytest.mark.parametrize("error", [RecursionError("deep"), ValueError("odd")])
def test_what_can_not_be_read_is_the_upstreams_fault(error: Exception) -> None:
    with pytest.raises(Failure) as caught:
        unreadable(error)
    assert caught.value.cause is Cause.UPSTREAM_MALFORMED
