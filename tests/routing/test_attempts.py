"""What is tried after a failure, by the table."""

from random import Random

import pytest

from riverrun.failures import Cause, Failure
from riverrun.routing.attempts import LONGEST_PAUSE, POLICIES, Attempts, policy
from riverrun.routing.target import Target

A, B, C = (Target(name, name, "", "openai") for name in "abc")
ALL = {"a", "b", "c"}
UPSTREAM = [cause for cause in Cause if cause.value.fault == "upstream"]


def attempts(*targets: Target, retries: int = 1) -> Attempts:
    return Attempts(list(targets), retries, Random(1))


def fallen(cause: Cause, retry_after: float | None = None) -> Failure:
    return Failure(cause, "x", retry_after=retry_after)


def chain(cause: Cause, *targets: Target, retries: int = 1) -> list[str]:
    """Who is asked, when everybody fails in the same way."""
    tries = attempts(*targets, retries=retries)
    again = tries.first(ALL)
    asked = []
    while again is not None:
        asked.append(again.target.name)
        assert 0 <= again.pause <= LONGEST_PAUSE
        again = tries.after(again.target, fallen(cause), ALL, left=30.0)
    return asked


@pytest.mark.parametrize(
    ("cause", "asked"),
    [
        (Cause.UPSTREAM_ERROR, "aabbcc"),
        (Cause.UPSTREAM_UNREACHABLE, "aabbcc"),
        (Cause.UPSTREAM_INTERRUPTED, "aabbcc"),
        (Cause.UPSTREAM_MALFORMED, "aabbcc"),
        (Cause.UPSTREAM_TIMEOUT, "abc"),  # the silent target is not asked again
        (Cause.UPSTREAM_AUTH, "abc"),
        (Cause.OVERLOADED, "abc"),
        (Cause.BAD_REQUEST, "a"),
        (Cause.CONTENT_POLICY, "a"),
        (Cause.UNKNOWN_MODEL, "a"),
        (Cause.INTERNAL, "a"),
    ],
)
def test_who_is_asked_when_all_fail(cause: Cause, asked: str) -> None:
    assert "".join(chain(cause, A, B, C)) == asked


def test_no_target_is_ever_asked_more_often_than_its_retries_allow() -> None:
    for cause in POLICIES:
        for retries in range(4):
            asked = chain(cause, A, B, C, retries=retries)
            assert max(asked.count(name) for name in "abc") <= retries + 1


def test_a_busy_target_is_left_for_another_and_waited_for_if_there_is_none() -> None:
    tries = attempts(A, B)
    first = tries.first(ALL)
    assert first is not None
    other = tries.after(A, fallen(Cause.UPSTREAM_BUSY, 3.0), ALL, left=30.0)
    assert other is not None
    assert (other.target, other.pause) == (B, 0.0)
    alone = attempts(A)
    alone.first(ALL)
    again = alone.after(A, fallen(Cause.UPSTREAM_BUSY, 3.0), ALL, left=30.0)
    assert again is not None
    assert (again.target, again.pause) == (A, 3.0)


def test_a_retry_after_beyond_the_deadline_is_not_waited_for() -> None:
    tries = attempts(A)
    tries.first(ALL)
    assert tries.after(A, fallen(Cause.UPSTREAM_BUSY, 31.0), ALL, left=30.0) is None


def test_a_target_that_is_known_to_be_down_is_passed_over() -> None:
    tries = attempts(A, B)
    first = tries.first({"b"})
    assert first is not None
    assert first.target == B
    assert tries.after(B, fallen(Cause.UPSTREAM_TIMEOUT), {"b"}, left=30.0) is None


def test_where_all_are_down_the_first_is_tried() -> None:
    first = attempts(A, B).first(set())
    assert first is not None
    assert first.target == A


def test_too_long_a_prompt_goes_to_a_larger_window_and_never_to_an_unknown_one() -> None:
    small, unknown, same, large = (
        Target(name, name, "", "openai", context=context)
        for name, context in (("small", 8), ("unknown", None), ("same", 8), ("large", 16))
    )
    names = {"small", "unknown", "same", "large"}
    tries = attempts(small, unknown, same, large)
    tries.first(names)
    again = tries.after(small, fallen(Cause.CONTEXT_TOO_LONG), names, left=30.0)
    assert again is not None
    assert again.target == large
    assert tries.after(large, fallen(Cause.CONTEXT_TOO_LONG), names, left=30.0) is None


def test_a_hedge_asks_somebody_else() -> None:
    tries = attempts(A, B)
    tries.first(ALL)
    assert tries.other(A, ALL) == B
    assert attempts(A).other(A, ALL) is None


def test_a_copy_remembers_and_goes_its_own_way() -> None:
    tries = attempts(A, B)
    tries.first(ALL)
    copy = tries.copy()
    copy.after(A, fallen(Cause.UPSTREAM_TIMEOUT), ALL, left=30.0)
    again = tries.after(A, fallen(Cause.UPSTREAM_ERROR), ALL, left=30.0)
    assert again is not None
    assert again.target == A


@pytest.mark.parametrize("cause", UPSTREAM)
def test_only_an_upstreams_own_fault_counts_against_it(cause: Cause) -> None:
    assert policy(fallen(cause)).health
    assert not policy(fallen(Cause.BAD_REQUEST)).health
    assert not policy(fallen(Cause.CONTEXT_TOO_LONG)).health


def test_where_nobody_knows_a_window_none_is_taken_to_be_larger() -> None:
    tries = attempts(A, B)
    tries.first(ALL)
    assert tries.after(A, fallen(Cause.CONTEXT_TOO_LONG), ALL, left=30.0) is None


def test_one_that_fell_silent_in_its_answer_may_be_asked_again() -> None:
    tries = attempts(A)
    tries.first(ALL)
    assert tries.after(A, fallen(Cause.UPSTREAM_TIMEOUT), ALL, left=30.0, spoke=True) is not None
    assert tries.after(A, fallen(Cause.UPSTREAM_TIMEOUT), ALL, left=30.0, spoke=True) is None


D = Target("d", "d", "", "openai")
EVERY = {"a", "b", "c", "d"}


def test_the_fallbacks_of_a_cause_come_in_place_of_the_rest_and_each_once() -> None:
    for cause in (Cause.CONTENT_POLICY, Cause.UPSTREAM_BUSY, Cause.UPSTREAM_TIMEOUT, Cause.CONTEXT_TOO_LONG):
        tries = Attempts([A, B], 3, Random(1), {cause: (C, D)})
        again, asked = tries.first(EVERY), []
        while again is not None:
            asked.append((again.target.name, again.pause))
            again = tries.after(again.target, fallen(cause, 1.0), EVERY, left=30.0)
        assert asked == [("a", 0.0), ("c", 0.0), ("d", 0.0)]


def test_a_fallback_is_asked_once_whatever_it_fails_of() -> None:
    tries = Attempts([A, B], 3, Random(1), {Cause.CONTENT_POLICY: (C, D)})
    tries.first(EVERY)
    for failed, cause, name in ((A, Cause.CONTENT_POLICY, "c"), (C, Cause.UPSTREAM_ERROR, "d")):
        again = tries.after(failed, fallen(cause), EVERY, left=30.0)
        assert again is not None
        assert again.target.name == name
    assert tries.after(D, fallen(Cause.UPSTREAM_ERROR), EVERY, left=30.0) is None


def test_one_cause_may_lead_to_anothers_fallbacks_and_never_back() -> None:
    tries = Attempts([A, B], 0, Random(1), {Cause.CONTENT_POLICY: (C, A), Cause.UPSTREAM_BUSY: (D, C)})
    tries.first(EVERY)
    steps = ((A, Cause.UPSTREAM_BUSY, D), (D, Cause.CONTENT_POLICY, C), (C, Cause.UPSTREAM_BUSY, None))
    for failed, cause, expected in steps:
        again = tries.after(failed, fallen(cause), EVERY, left=30.0)
        assert (again.target if again is not None else None) == expected


def test_a_fallback_that_is_known_to_be_down_is_passed_over() -> None:
    tries = Attempts([A, B], 1, Random(1), {Cause.UPSTREAM_BUSY: (C, D)})
    assert {target.name for target in tries.everyone()} == EVERY
    tries.first(EVERY)
    again = tries.after(A, fallen(Cause.UPSTREAM_BUSY), EVERY - {"c"}, left=30.0)
    assert again is not None
    assert again.target == D


def test_other_causes_and_what_was_seen_go_the_usual_way() -> None:
    tries = Attempts([A, B], 0, Random(1), {Cause.UPSTREAM_BUSY: (C,)})
    tries.first(EVERY)
    again = tries.copy().after(A, fallen(Cause.UPSTREAM_ERROR), EVERY, left=30.0)
    assert again is not None
    assert again.target == B
    again = tries.after(A, fallen(Cause.UPSTREAM_BUSY), EVERY, left=30.0, spoke=True, seen=True)
    assert again is not None
    assert again.target == B


def test_a_fallback_that_broke_in_its_answer_may_go_on_with_it() -> None:
    tries = Attempts([A, B], 1, Random(1), {Cause.CONTENT_POLICY: (C,)})
    tries.first(EVERY)
    tries.after(A, fallen(Cause.CONTENT_POLICY), EVERY, left=30.0)
    again = tries.copy().after(C, fallen(Cause.UPSTREAM_INTERRUPTED), EVERY, left=30.0, spoke=True, seen=True)
    assert again is not None
    assert again.target == C


@pytest.mark.parametrize(
    ("hedge", "last", "names"),
    [
        (Cause.UPSTREAM_ERROR, Cause.UPSTREAM_BUSY, ["c", "d"]),
        (Cause.UPSTREAM_BUSY, Cause.UPSTREAM_ERROR, ["d", "c"]),
    ],
)
def test_of_two_that_ran_side_by_side_the_fallbacks_of_either_are_asked(
    hedge: Cause, last: Cause, names: list[str]
) -> None:
    """The last failure's own come first."""
    tries = Attempts([A, B], 0, Random(1), {Cause.UPSTREAM_BUSY: (C,), Cause.UPSTREAM_ERROR: (D,)})
    tries.first(EVERY)
    tries.other(A, EVERY)
    tries.beside(B, fallen(hedge))
    tries = tries.copy()
    asked = []
    again = tries.after(A, fallen(last), EVERY, left=30.0)
    while again is not None:
        asked.append(again.target.name)
        again = tries.after(again.target, fallen(last), EVERY, left=30.0)
    assert asked == names


def test_a_failure_beside_another_is_remembered_even_where_the_last_one_has_no_fallbacks() -> None:
    tries = Attempts([A, B], 0, Random(1), {Cause.UPSTREAM_BUSY: (C, D)})
    tries.first(EVERY)
    tries.other(A, EVERY)
    tries.beside(B, fallen(Cause.UPSTREAM_BUSY))
    again = tries.after(A, fallen(Cause.UPSTREAM_TIMEOUT), EVERY, left=30.0)
    assert again is not None
    assert again.target == C
    assert tries.after(C, fallen(Cause.BAD_REQUEST), EVERY, left=30.0) is None, "its own fault ends it, as ever"
