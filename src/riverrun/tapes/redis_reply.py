"""What Redis is told and what it answers, in the plainest types; and the failure of not being answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from riverrun.failures import Cause, Failure

Word = bytes | str | int
Command = Sequence[bytes]


class Said(NamedTuple):
    """An error that Redis answered with: it is there, and did not do it."""

    message: str


Reply = bytes | int | None | Said | list["Reply"]


class Away(Failure):
    """Redis can't be reached, gives no answer in time, or can't do its work. `reason` is for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            Cause.STORAGE,
            "The server can't reach its record of streams at the moment. Ask again, or resume the stream later.",
            retry_after=2.0,
        )
        self.reason = reason


def taken_over() -> Failure:
    """What readers hear whose server was thought dead."""
    return Failure(Cause.STORAGE, "Another server goes on with this stream; resume it.", retry_after=1.0)


def lost() -> Failure:
    """What readers hear of a tape that Redis has forgotten."""
    return Failure(Cause.STORAGE, "The server's record of this stream is lost; ask again.", retry_after=1.0)


def command(*words: Word) -> list[bytes]:
    """The words of a command as Redis has them."""
    return [word if isinstance(word, bytes) else str(word).encode() for word in words]


def packed(words: Command) -> bytes:
    """A command as it is sent: an array of strings whose lengths are said, so that nothing in them is ever read."""
    pieces = [b"*%d\r\n" % len(words)]
    for word in words:
        pieces.append(b"$%d\r\n%b\r\n" % (len(word), word))
    return b"".join(pieces)


def texts(reply: Reply) -> list[bytes]:
    """The strings of an array."""
    return [item for item in reply if isinstance(item, bytes)] if isinstance(reply, list) else []
