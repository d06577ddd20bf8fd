"""An owner hears once that it is read elsewhere, and once that nobody is left; also of what was said too early."""

from __future__ import annotations

import asyncio

from riverrun.stream.flow import Finished
from riverrun.tapes.own import Own
from riverrun.tapes.redis_names import Names
from riverrun.tapes.redis_presence import EARLY, Audience, Message, heard, saying
from riverrun.tapes.room import Room
from tests.tapes.reader import Ears, head


def new(ears: Ears) -> Own:
    return Own(head("a"), Room(2**20, 2**20).blocks(), None, ears, lambda tape: None)


async def _elsewhere() -> None:
    ears, audience = Ears(), Audience()
    tape = new(ears)
    for reader in ("p", "q", "p"):
        audience.joined("a", tape, reader)
    assert audience.readers == {"p", "q"}
    audience.left("a", "p")
    audience.left("a", "p")
    audience.left("b", "q")
    assert ears.heard == ["joined"]
    audience.died("q")
    assert ears.heard == ["joined", "left"]
    audience.joined("a", tape, "p")
    audience.over("a")
    assert ears.heard == ["joined", "left"] * 2
    tape.close(Finished(), None)
    audience.joined("a", tape, "p")
    assert audience.readers == set()


def test_readers_elsewhere() -> None:
    asyncio.run(_elsewhere())


async def _early() -> None:
    ears, audience = Ears(), Audience()
    audience.joined("a", None, "gone")
    audience.left("a", "gone")
    audience.joined("a", None, "p")
    audience.joined("b", None, "q")
    audience.began(new(ears))
    assert audience.readers == {"p"}
    assert ears.heard == ["joined"]


def test_who_reads_a_tape_before_its_new_owner_has_it() -> None:
    asyncio.run(_early())


async def _bounded() -> None:
    audience = Audience()
    for number in range(EARLY + 1):
        audience.joined("a", None, str(number))
    audience.began(new(Ears()))
    assert audience.readers == {str(number) for number in range(1, EARLY + 1)}


def test_what_is_remembered_is_bounded() -> None:
    asyncio.run(_bounded())


def test_what_is_said_is_heard() -> None:
    message = Message("cancel", "chatcmpl-1", "me")
    words = saying(Names("x:"), "you", message)
    assert words[1] == b"x:ear:you"
    assert heard(words[-2:]) == message
    assert heard([b"m", b'{"say":"something newer"}']) is None
    assert heard([b"m", b""]) is None
