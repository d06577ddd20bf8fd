"""Signed thoughts find their way back to the call they led to."""

import asyncio
import json

import pytest

from riverrun.backends.scripted import End, Say, steps
from riverrun.failures import Cause, Failure
from riverrun.runs.thoughts import Thoughts
from riverrun.stream.ask import Ask
from riverrun.stream.deltas import Finish, Reasoning, Signature, ToolArgs, ToolOpen
from riverrun.tapes.memory import MemoryTapes
from riverrun.tapes.retention import Retention
from riverrun.tapes.room import Room
from riverrun.wire.completion import Choice, Completion, FunctionCall, Message, ToolCall
from riverrun.wire.request import Chat
from tests import virtual
from tests.runs.scenes import Scene, chat
from tests.tapes.kept import in_memory

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
def test_a_dropped_thought_comes_back_with_its_call_in_every_process(ids: tuple[str, ...]) -> None:
    async def main() -> None:
        tapes = in_memory()
        await Thoughts(tapes).remember("me", completion("a", "b"))
        message = assistant_of(await Thoughts(tapes).completed("me", followed_up(*ids)))
        assert message["reasoning_details"] == DETAILS
        assert message["reasoning_content"] == "hm"

    virtual.run(main())


def test_what_the_client_sends_itself_stands() -> None:
    async def main() -> None:
        tapes = in_memory()
        await Thoughts(tapes).remember("me", completion("a"))
        own = followed_up("a", reasoning_details=[{"signature": "own"}])
        assert await Thoughts(tapes).completed("me", own) is own

    virtual.run(main())


@pytest.mark.parametrize(("one", "other"), [("me", "you"), ("me a", "me")])
def test_tenants_do_not_see_each_others_thoughts(one: str, other: str) -> None:
    async def main() -> None:
        thoughts = Thoughts(in_memory())
        await thoughts.remember(one, completion("b"))
        for id in ("b", "a b"):
            asked = followed_up(id)
            assert await thoughts.completed(other, asked) is asked

    virtual.run(main())


def test_they_are_kept_for_a_day() -> None:
    async def main() -> None:
        thoughts = Thoughts(in_memory())
        await thoughts.remember("me", completion("a"))
        await asyncio.sleep(24 * 3600 - 1)
        assert "reasoning_details" in assistant_of(await thoughts.completed("me", followed_up("a")))
        await asyncio.sleep(2)
        assert "reasoning_details" not in assistant_of(await thoughts.completed("me", followed_up("a")))

    virtual.run(main())


class Looked(MemoryTapes):
    """Counts what it is asked for; `away`: it can't be reached."""

    def __init__(self, *, away: bool = False) -> None:
        super().__init__(Room(2**20, 2**20), Retention())
        self.away = away
        self.asked: list[str] = []

    async def noted(self, name: str) -> bytes | None:
        self.asked.append(name)
        if self.away:
            raise Failure(Cause.STORAGE, "away")
        return await super().noted(name)

    async def note(self, name: str, value: bytes, seconds: float) -> None:
        if self.away:
            raise Failure(Cause.STORAGE, "away")
        await super().note(name, value, seconds)


def test_only_calls_without_their_thought_cost_a_look() -> None:
    async def main() -> None:
        tapes = Looked()
        thoughts = Thoughts(tapes)
        for plain in (chat(), followed_up("a", reasoning_details=DETAILS)):
            assert await thoughts.completed("me", plain) is plain
        assert tapes.asked == []
        await thoughts.completed("me", followed_up("a"))
        assert len(tapes.asked) == 1

    virtual.run(main())


def test_without_the_tapes_a_request_is_answered_as_it_is() -> None:
    async def main() -> None:
        thoughts = Thoughts(Looked(away=True))
        await thoughts.remember("me", completion("a"))
        asked = followed_up("a")
        assert await thoughts.completed("me", asked) is asked

    virtual.run(main())


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
        await scene.begin()
        await scene.runs.idle()
        await scene.begin(messages=followed_up("call_1").body["messages"])
        await scene.runs.idle()

    virtual.run(main())
    assert assistant_of(asked[1].chat)["reasoning_details"] == [{"type": "reasoning.text", "signature": "s1"}]


def test_an_answer_without_signatures_is_not_kept() -> None:
    async def main() -> None:
        scene = Scene(steps(Say((ToolOpen(0, 0, "call_1", "f"), Finish(0, "stop"))), End()))
        await scene.begin()
        await scene.runs.idle()
        plain = followed_up("call_1")
        assert await scene.runs.thoughts.completed("local", plain) is plain

    virtual.run(main())
