"""The private line between two processes, with both ends in one."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from riverrun.server.workers.line import Line, LineLost
from riverrun.server.workers.messages import Doubt, Look, Message, Stop, Verdict
from tests.server.served import PATIENCE, run


class End:
    """One end, and what it heard."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[Message] = asyncio.Queue()
        self.gone = asyncio.Event()
        self.held = asyncio.Event()
        self.line = Line(self.heard.put_nowait, self.asked, self.gone.set)

    async def asked(self, question: Message) -> Message:
        if isinstance(question, Stop):
            await self.held.wait()
        return Verdict(type(question).__name__)


@asynccontextmanager
async def ends() -> AsyncIterator[tuple[End, End]]:
    one, other = End(), End()
    for end, sock in zip((one, other), socket.socketpair(), strict=True):
        sock.setblocking(False)
        await end.line.over(sock)
    try:
        async with asyncio.timeout(PATIENCE):
            yield one, other
    finally:
        for end in (one, other):
            end.line.close()
            await end.gone.wait()


def test_what_is_told_arrives_in_order() -> None:
    async def scene() -> list[Message]:
        async with ends() as (one, other):
            told = [Doubt(f"{number}" * 9000) for number in range(20)]
            for each in told:
                one.line.tell(each)
            assert [await other.heard.get() for _ in told] == told
            one.line.tell(Doubt("last"))
            one.line.close()
            return [await other.heard.get()]

    assert run(scene()) == [Doubt("last")]


def test_questions_go_both_ways_at_once_and_a_slow_answer_holds_up_no_other() -> None:
    async def scene() -> None:
        async with ends() as (one, other):
            slow = asyncio.create_task(one.line.ask(Stop()))
            assert await one.line.ask(Look()) == await other.line.ask(Look()) == Verdict("Look")
            other.held.set()
            assert await slow == Verdict("Stop")

    run(scene())


def test_a_question_to_who_is_gone_or_silent_is_lost() -> None:
    async def scene() -> None:
        async with ends() as (one, other):
            with pytest.raises(LineLost, match="did not answer"):
                await one.line.ask(Stop(), patience=0.05)
            slow = asyncio.create_task(one.line.ask(Stop()))
            await one.line.ask(Look())
            other.line.close()
            with pytest.raises(LineLost, match="ended"):
                await slow
            with pytest.raises(LineLost, match="gone"):
                await one.line.ask(Look())
            one.line.tell(Doubt("nobody"))

    run(scene())
