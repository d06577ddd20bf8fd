"""Signed thoughts find their way back to the call they led to."""

import json

import pytest

from riverrun.backends.scripted import End, Say, steps
from riverrun.runs.thoughts import Thoughts
from riverrun.stream.ask import Ask
from riverrun.stream.deltas import Finish, Reasoning, Signature, ToolArgs, ToolOpen
from riverrun.wire.completion import Choice, Completion, FunctionCall, Message, ToolCall
from riverrun.wire.request import Chat
from tests import virtual
from tests.runs.scenes import Scene, chat

DETAILS = [{"type": "reasoning.text", "signature": "s1"}]


def completion(*ids: str) -> Completion:
    calls = [ToolCall(id, "function", FunctionCall("f", "{}")) for id in ids]
    message = Message(
        role="assistant",
        content=None,
        refusal=None,
        annotations=[],
        reasoning_content="hm",
        reasoning_details=[dict(each) for each in DETAILS],
        tool_calls=calls,
    )
    choice = Choice(0, message, None, "tool_calls")
    return Completion(
        id="c", object="chat.completion", created=1, model="m", choices=[choice], usage=None, system_fingerprint=None
    )


def followed_up(*ids: str, **assistant: object) -> Chat:
    calls = [{"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}} for id in ids]
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": calls, **assistant},
        *({"role": "tool", "tool_call_id": id, "content": "1"} for id in ids),
    ]
    return chat(messages=messages)


def assistant_of(asked: Chat) -> dict[str, object]:
    messages = json.loads(json.dumps(asked.body["messages"]))
    found: dict[str, object] = messages[1]
    return found


@pytest.mark.parametrize("ids", [("a",), ("a", "b"), ("x", "b")])
def test_a_dropped_thought_comes_back_with_its_call(ids: tuple[str, ...]) -> None:
    thoughts = Thoughts()
    thoughts.remember("me", completion("a", "b"))
    message = assistant_of(thoughts.completed("me", followed_up(*ids)))
    assert message["reasoning_details"] == DETAILS
    assert message["reasoning_content"] == "hm"


def test_what_the_client_sends_itself_stands() -> None:
    thoughts = Thoughts()
    thoughts.remember("me", completion("a"))
    own = followed_up("a", reasoning_details=[{"signature": "own"}])
    assert thoughts.completed("me", own) is own


def test_tenants_do_not_see_each_others_thoughts() -> None:
    thoughts = Thoughts()
    thoughts.remember("me", completion("a"))
    other = followed_up("a")
    assert thoughts.completed("you", other) is other


def test_only_so_many_are_kept() -> None:
    thoughts = Thoughts(limit=2)
    thoughts.remember("me", completion("a", "b", "c"))
    assert "reasoning_details" not in assistant_of(thoughts.completed("me", followed_up("a")))
    assert "reasoning_details" in assistant_of(thoughts.completed("me", followed_up("c")))


def test_through_a_run() -> None:
    said = (
        Reasoning(0, b'"hm"'),
        Signature(0, b'{"type":"reasoning.text","signature":"s1"}'),
        ToolOpen(0, 0, "call_1", "f"),
        ToolArgs(0, 0, b'"{}"'),
        Finish(0, "tool_calls"),
    )
    asked: list[Ask] = []

    def script(ask: Ask) -> object:
        asked.append(ask)
        return (Say(said), End())

    async def main() -> None:
        scene = Scene(script)  # type: ignore[arg-type]  # it remembers what it was asked
        scene.begin()
        await scene.runs.idle()
        scene.begin(messages=followed_up("call_1").body["messages"])
        await scene.runs.idle()

    virtual.run(main())
    assert assistant_of(asked[1].chat)["reasoning_details"] == [{"type": "reasoning.text", "signature": "s1"}]


def test_an_answer_without_signatures_is_not_kept() -> None:
    async def main() -> None:
        scene = Scene(steps(Say((ToolOpen(0, 0, "call_1", "f"), Finish(0, "stop"))), End()))
        scene.begin()
        await scene.runs.idle()
        plain = followed_up("call_1")
        assert scene.runs.thoughts.completed("local", plain) is plain

    virtual.run(main())
