from __future__ import annotations

import msgspec
import pytest

from riverrun.dialects.openai_calls import CallReader
from riverrun.dialects.openai_events import CallPart, FunctionPart
from riverrun.failures import Failure
from riverrun.stream.deltas import Delta, ToolArgs, ToolOpen


def part(index: int | None = None, id: str | None = None, name: str | None = None, args: bytes = b"") -> CallPart:
    return CallPart(index, id, FunctionPart(name, msgspec.Raw(args)))


def fragments(*parts: CallPart) -> list[Delta]:
    calls = CallReader("chatcmpl-1", 0)
    out = [delta for each in parts for delta in calls.fragments([each])]
    calls.close()
    return out


def opened(deltas: list[Delta]) -> list[tuple[int, str]]:
    return [(each.call, each.name) for each in deltas if isinstance(each, ToolOpen)]


def test_without_an_index_a_fragment_goes_to_its_id_or_to_the_last_call() -> None:
    deltas = fragments(
        part(id="a", name="f", args=b'"{"'),
        part(args=b'"}"'),
        part(id="b", name="g"),
        part(id="a", args=b'" "'),
    )
    assert opened(deltas) == [(0, "f"), (1, "g")]
    assert [(each.call, each.literal) for each in deltas if isinstance(each, ToolArgs)] == [
        (0, b'"{"'),
        (0, b'"}"'),
        (0, b'" "'),
    ]


def test_whole_calls_without_index_and_id_are_told_apart_by_their_names() -> None:
    deltas = fragments(part(name="f", args=b'"{}"'), part(name="f", args=b'"{}"'))
    ids = [each.id for each in deltas if isinstance(each, ToolOpen)]
    assert len(set(ids)) == 2
    assert all(each.startswith("call_") for each in ids)


def test_one_index_for_every_call_is_told_apart_by_the_ids() -> None:
    assert opened(fragments(part(0, "a", "f", b'"{}"'), part(0, "b", "g", b'"{}"'))) == [(0, "f"), (1, "g")]


def test_a_made_up_id_is_the_same_for_the_same_ask() -> None:
    assert fragments(part(0, None, "f")) == fragments(part(0, None, "f"))


def test_arguments_before_the_name_wait_for_it() -> None:
    assert fragments(part(0, "a", None, b'"{"'), part(0, None, "f", b'"}"')) == [
        ToolOpen(0, 0, "a", "f"),
        ToolArgs(0, 0, b'"{"'),
        ToolArgs(0, 0, b'"}"'),
    ]


def test_an_object_becomes_the_string_it_should_have_been() -> None:
    assert fragments(part(0, "a", "f", b'{"x":"\\n"}'))[1] == ToolArgs(0, 0, b'"{\\"x\\":\\"\\\\n\\"}"')


@pytest.mark.parametrize("args", [b"", b"null", b'""'])
def test_no_arguments_are_no_fragment(args: bytes) -> None:
    assert fragments(part(0, "a", "f", args)) == [ToolOpen(0, 0, "a", "f")]


def test_a_call_that_never_gets_a_name_is_a_failure() -> None:
    with pytest.raises(Failure):
        fragments(part(0, "a", None, b'"{}"'))


def test_a_call_without_a_function_is_known_by_its_id() -> None:
    assert opened(fragments(CallPart(0, "a", None), part(0, None, "f"))) == [(0, "f")]
