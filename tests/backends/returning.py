"""What the tests of coming back share: an upstream that is a riverrun, as far as bytes can tell."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from riverrun.routing.target import Deadlines, Target
from riverrun.wire.sse import HEARTBEAT, frame
from tests.backends.asking import target
from tests.upstreams import LAST_CHUNK, How, Play, Request, Upstream, chunk, head, play

WORDS = (b"Hello", b" wor", "łd".encode(), b".", b"[END]")
SAID = "Hello worłd."
PLACE = "/v1/chat/completions/"


def frames(after: int = 0, words: tuple[bytes, ...] = WORDS) -> bytes:
    """The events of the stream after a number, with a heartbeat between the first two."""
    every = [frame(number, word) + HEARTBEAT * (number == 1) for number, word in enumerate(words, 1)]
    return b"".join(every[after:])


def located(completion: str = "chatcmpl-1", more: str = "") -> bytes:
    """The head of a POST's answer."""
    return head(more=f"location: {PLACE}{completion}" + more)


def whole(after: int = 0, completion: str = "chatcmpl-1") -> bytes:
    return located(completion) + chunk(frames(after)) + LAST_CHUNK


def after(request: Request) -> int:
    return int(request.headers["last-event-id"])


class Choosing(Upstream):
    """Answers as `choose` says."""

    def __init__(self, choose: Callable[[Request], Play]) -> None:
        super().__init__(())
        self._choose = choose

    def ask(self, request: Request) -> Play:
        self.requests.append(request)
        self._news.set()
        return self._choose(request)

    @property
    def lines(self) -> list[str]:
        return [request.line.removesuffix(" HTTP/1.1") for request in self.requests]


def cut_once(*steps: bytes, end: How = "reset", rest: Play | None = None) -> Choosing:
    """A POST is answered with these, then comes the cut; a GET with the rest, unless `rest` says otherwise."""

    def choose(request: Request) -> Play:
        if request.line.startswith("POST"):
            return play(*steps, end=end)
        return rest if rest is not None else play(head() + chunk(frames(after(request))) + LAST_CHUNK)

    return Choosing(choose)


def to(upstream: Upstream, deadlines: Deadlines = Deadlines(), key: str | None = None) -> Target:  # noqa: B008 - frozen
    """The target that is a riverrun."""
    return msgspec.structs.replace(target(upstream.base_url, deadlines, key), resumes=True)
