"""A breaker by its own clock."""

import pytest

from riverrun.routing.breaker import Breaker, Limits

LIMITS = Limits(failures=3, pause=5.0, longest=15.0)


def opened(at: float = 0.0) -> Breaker:
    breaker = Breaker(LIMITS)
    for _ in range(LIMITS.failures):
        breaker.failed(at)
    return breaker


def test_it_opens_after_failures_in_a_row() -> None:
    breaker = Breaker(LIMITS)
    breaker.failed(0.0)
    breaker.failed(0.0)
    assert breaker.state(0.0) == "closed"
    breaker.failed(0.0)
    assert breaker.state(0.0) == "open"
    assert not breaker.admits(4.9)


def test_a_success_between_them_starts_the_count_anew() -> None:
    breaker = Breaker(LIMITS)
    for _ in range(10):
        breaker.failed(0.0)
        breaker.failed(0.0)
        breaker.succeeded()
    assert breaker.admits(0.0)


def test_half_open_lets_one_probe_through() -> None:
    breaker = opened()
    assert breaker.state(5.0) == "half-open"
    assert breaker.admits(5.0)
    assert breaker.admits(5.0)  # to be thought of is not to be asked
    breaker.asked(5.0)
    assert not breaker.admits(5.0)
    breaker.succeeded()
    assert breaker.state(5.0) == "closed"
    assert breaker.admits(5.0)


def test_a_failed_probe_opens_it_for_twice_as_long_up_to_a_limit() -> None:
    breaker, now = opened(), 0.0
    for pause in (5.0, 10.0, 15.0, 15.0):
        assert not breaker.admits(now + pause - 0.1)
        now += pause
        assert breaker.admits(now)
        breaker.asked(now)
        breaker.failed(now)
    breaker.succeeded()
    for _ in range(LIMITS.failures):
        breaker.failed(now)
    assert breaker.admits(now + 5.0)


def test_a_probe_that_never_comes_back_makes_room_for_another() -> None:
    breaker = opened()
    breaker.asked(5.0)
    assert not breaker.admits(9.9)
    assert breaker.admits(10.0)


@pytest.mark.parametrize("late", [0.0, 3.0])
def test_failures_of_requests_that_were_under_way_do_not_add_up(late: float) -> None:
    breaker = opened()
    breaker.failed(late)
    assert breaker.state(late + 10.1) == "half-open"
