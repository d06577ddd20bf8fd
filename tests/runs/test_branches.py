"""Which calls an ask becomes."""

from random import Random

import msgspec

from riverrun.runs.branches import branches
from riverrun.stream.ask import Ask
from tests.runs.scenes import chat, target

TARGETS = {"engine": target(n="fan-out", draw_seed=True), "openai": target()}


def asked(row: str, **parameters: object) -> list[Ask]:
    return branches(Ask(chat(**parameters), "chatcmpl-1", 7, "me"), [TARGETS[row]], Random(4))


def test_a_hosted_model_is_asked_once_for_all_choices() -> None:
    (ask,) = asked("openai", n=3)
    assert ask.choices == (0, 1, 2)
    assert ask.chat.request.seed is None


def test_the_engine_is_asked_once_per_choice_with_seeds_that_follow_each_other() -> None:
    asks = asked("engine", n=3, seed=41)
    assert [ask.choices for ask in asks] == [(0,), (1,), (2,)]
    assert [ask.chat.request.seed for ask in asks] == [41, 42, 43]
    assert [ask.chat.body["seed"] for ask in asks] == [41, 42, 43]


def test_a_local_request_without_a_seed_gets_one_from_the_random_passed_in() -> None:
    (first,), (again,) = asked("engine"), asked("engine")
    assert first.chat.request.seed == again.chat.request.seed
    assert 0 <= (first.chat.request.seed or -1) < 2**31
    assert first.chat.body["seed"] == first.chat.request.seed


def test_the_callers_own_request_is_left_alone() -> None:
    original = chat(n=2)
    before = msgspec.json.encode(original.body)
    branches(Ask(original, "chatcmpl-1", 7, "me"), [TARGETS["engine"]], Random(4))
    assert msgspec.json.encode(original.body) == before


def test_a_seed_is_the_callers_where_there_is_one() -> None:
    (ask,) = asked("engine", seed=-5)
    assert ask.chat.request.seed == -5
