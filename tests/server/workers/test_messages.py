"""What parents and workers say to each other arrives as it was."""

from __future__ import annotations

import msgspec
import pytest

from riverrun.config import Config
from riverrun.config.values import Secret, decode
from riverrun.failures import Attempt, Cause, Failure, Told
from riverrun.server.workers.messages import Denied, Note, Setup, read, written


def test_a_configuration_arrives_whole_with_its_keys() -> None:
    config = msgspec.convert(
        {
            "server": {"api_keys": ["canary-of-a-client"], "origins": ["https://a.example"]},
            "upstream": {"a": {"base_url": "http://x/v1", "key": "canary", "deadlines": {"idle": "off"}}},
            "model": [{"name": "m", "targets": ["a/q", {"target": "a/r", "weight": 2}], "hedge_after": "500ms"}],
        },
        Config,
        dec_hook=decode,
    )
    setup = Setup(1, (5, 6), "::1", 8000, config, {"m": "/m.gguf"}, {"HOME": "/"}, 7, "/run/m", (9,))
    line = written(Note(setup))
    assert line.count(b"\n") == 1
    heard = read(line)
    assert heard == Note(setup)
    assert isinstance(heard.message, Setup)
    assert heard.message.config.upstream["a"].key == Secret("canary")
    assert heard.message.config.owners == config.owners


@pytest.mark.parametrize("cause", list(Cause))
def test_a_failure_arrives_as_it_was(cause: Cause) -> None:
    failure = Failure(cause, "words", param="p", code="c", status=418, retry_after=1.5, attempts=(Attempt("t", "x"),))
    denied = read(written(Note(Denied(3, Told.of(failure))))).message
    assert isinstance(denied, Denied)
    again = denied.failure.failure()
    assert vars(again) == vars(failure)
