"""The failures table."""

from riverrun.failures import Cause, Failure, bad_request


def test_a_failure_takes_its_causes_rule_unless_told_otherwise() -> None:
    failure = Failure(Cause.UPSTREAM_TIMEOUT, "silent")
    assert (failure.status, failure.type, failure.code, failure.retry) == (
        504,
        "upstream_error",
        "upstream_timeout",
        True,
    )
    passed_on = Failure(Cause.BAD_REQUEST, "theirs", status=422, type="t", code="c", param="p")
    assert (passed_on.status, passed_on.type, passed_on.code, passed_on.param) == (422, "t", "c", "p")
    assert str(failure) == "silent"


def test_a_bad_request_is_the_clients_fault_and_not_worth_repeating() -> None:
    failure = bad_request("no", "n", "invalid_type")
    assert (failure.status, failure.retry, failure.cause.value.fault) == (400, False, "client")


def test_the_table_is_consistent() -> None:
    for cause in Cause:
        rule = cause.value
        assert (rule.status < 500) == (rule.fault == "client" or cause is Cause.UPSTREAM_BUSY)
        assert cause.value.code is None or cause.value.code.islower()


def test_no_two_causes_are_one() -> None:
    """An Enum makes equal values aliases of each other, silently."""
    assert len({cause.name for cause in Cause}) == len(Cause.__members__)
