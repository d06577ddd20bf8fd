"""One answer on its way to one client, pushed by plain calls: the one way out for every answer.

`Stream` is the interface. On riverrun's own host it is the direct writer (`direct`), on any other ASGI host `asgi`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Header = tuple[bytes, bytes]


class StreamCut(ConnectionAbortedError):
    """Raised out of `done` after `abort` on a foreign host: let it leave the application, so that the host cuts."""


class Stream(Protocol):
    """A whole answer is `answer`; one in pieces `start`, any number of `write`, then `finish` or `abort`. Then `done`.

    `gone`: the client is no longer there; everything written from now on is dropped. `on_gone` is called once when
    that happens before the answer has ended, also before it was started; `on_resume` when writing is welcome again.
    """

    gone: bool
    on_gone: Callable[[], None] | None
    on_resume: Callable[[], None] | None

    def listen(self) -> None:
        """The request's body was read, or will not be: hears of the client's leaving from now on."""

    def answer(self, status: int, headers: list[Header], body: bytes) -> None:
        """A whole answer, in one write. A content-length, where there is one, is among the headers."""

    def start(self, status: int, headers: list[Header]) -> None:
        """Takes status and headers, once. Without a content-length the body's length is open.

        They go out with the first block, or with `done`, whichever comes first.
        """

    def write(self, block: bytes) -> bool:
        """Sends a block, in one write. False: taken, but the client is behind; stop until `on_resume`."""

    def finish(self) -> None:
        """The answer is whole: ends it, and the connection stays usable."""

    def abort(self) -> None:
        """The answer is broken: what was written still goes out, then the connection is cut without a clean end."""

    async def done(self) -> None:
        """Returns once the answer was finished, aborted, or its client has gone. Raises StreamCut (see there)."""
