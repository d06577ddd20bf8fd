"""Calls are held until their choice finishes; everything else passes as it comes."""

from riverrun.stream.deltas import Delta, Finish, Text, ToolArgs, ToolOpen
from riverrun.stream.whole_calls import WholeCalls

OPEN, ARGS, STOP = ToolOpen(0, 0, "c", "f"), ToolArgs(0, 0, b'"{}"'), Finish(0, "tool_calls")


def test_a_call_comes_out_with_its_choices_finish() -> None:
    calls = WholeCalls()
    other: list[Delta] = [Text(1, b'"a"'), Finish(1, "stop")]
    assert calls.passed([OPEN]) == []
    assert calls.passed([ARGS, *other]) == other
    assert calls.passed([STOP]) == [OPEN, ARGS, STOP]


def test_choices_are_held_apart() -> None:
    calls = WholeCalls()
    second = ToolOpen(1, 0, "d", "g")
    assert calls.passed([OPEN, second, Finish(1, "stop")]) == [second, Finish(1, "stop")]
    assert calls.passed([STOP]) == [OPEN, STOP]
