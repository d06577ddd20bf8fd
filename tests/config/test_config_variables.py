"""What the environment puts into settings."""

import pytest

from riverrun.config.variables import Filling


def test_every_string_is_filled_and_its_place_is_known() -> None:
    filling = Filling({"A": "one", "B": "two"})
    value = {"x": {"y": ["${A}-${B}", "plain", 3]}, "z": "$${A} $A"}
    assert filling.filled(value) == {"x": {"y": ["one-two", "plain", 3]}, "z": "${A} $A"}
    assert filling.used == {"x.y[0]": ("A", "B")}


@pytest.mark.parametrize(
    ("text", "said"), [("${NOPE}", "NOPE is not set"), ("${a b}", "names no"), ("${}", "names no")]
)
def test_what_cannot_be_filled_is_said_with_its_place(text: str, said: str) -> None:
    with pytest.raises(LookupError, match=rf"here\.key: .*{said}"):
        Filling({}).filled({"here": {"key": text}})


def test_a_message_does_not_show_what_a_variable_holds() -> None:
    filling = Filling({"KEY": "canary", "SHORT": "1"})
    filling.filled({"a": "${KEY}", "b": "${SHORT}"})
    assert filling.hidden("1 canary 1") == "1 ${KEY} 1"
