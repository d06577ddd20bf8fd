"""Durations and secrets."""

import pytest

from riverrun.config.values import ClientKey, Duration, Secret, decode, encode


@pytest.mark.parametrize(
    ("written", "seconds"), [("500ms", 0.5), ("5s", 5.0), ("1.5s", 1.5), ("10m", 600.0), ("1h", 3600.0), (3, 3.0)]
)
def test_a_duration(written: object, seconds: float) -> None:
    assert Duration.of(written).limit == seconds


def test_off_is_no_limit() -> None:
    assert Duration.of("off").limit is None


@pytest.mark.parametrize("written", ["", "5", "s", "-1s", "0s", "1d", "5s ", 0, -1, True, float("nan"), float("inf")])
def test_what_is_no_duration(written: object) -> None:
    with pytest.raises(ValueError, match="Expected a duration"):
        Duration.of(written)


def test_a_secret_is_never_shown() -> None:
    secret = Secret("canary")
    assert f"{secret} {secret!r} {[secret]}" == "… … […]"
    assert secret.reveal() == "canary"
    assert secret == Secret("canary")
    assert len({secret, Secret("canary"), Secret("other")}) == 2


def test_a_client_key_has_to_be_long() -> None:
    with pytest.raises(ValueError, match="at least 16") as caught:
        ClientKey("canary")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("text", ["a\nb", "a\r", "\0", "\x7f", "a\x85"])
def test_a_secret_has_no_control_characters(text: str) -> None:
    with pytest.raises(ValueError, match="control characters") as caught:
        Secret(text)
    assert text not in str(caught.value)


def test_values_go_to_another_process_and_back() -> None:
    for value in (Secret("canary"), Duration.of("off"), Duration.of("500ms")):
        assert decode(type(value), encode(value)) == value
    with pytest.raises(NotImplementedError):
        encode(object())
