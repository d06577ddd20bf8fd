"""A server that keeps riverrun's contract for resuming, in a page: one answer, its tape, its ids and keys. It breaks
nothing by itself; the relay does that."""

from __future__ import annotations

import json

from tests import upstreams
from tests.upstreams import LAST_CHUNK, Play, Request, Step, chunk, head, play, whole

HEARTBEAT = b": hb\n"
REPEATED_AFTER = 0.01
WORDS = ["", "Grüße", ", ", "Welt", " 🌊", "!\n\nSo", " long"]


def payload(delta: dict[str, object], finish: str | None = None) -> bytes:
    """A chunk with the least that an SDK reads, so that there are not more places to cut than needed."""
    chunk = {"id": "chatcmpl-1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return json.dumps(chunk, ensure_ascii=False, separators=(",", ":")).encode()


def payloads(words: list[str]) -> list[bytes]:
    deltas = [payload({"role": "assistant", "content": ""}), *(payload({"content": word}) for word in words)]
    return [*deltas, payload({}, "stop"), b"[DONE]"]


class StandIn(upstreams.Upstream):
    """Answers POST with `told`, numbered, and GET with the rest. The first answer may stop after `stops_after` events,
    without an end or with `last_words`."""

    def __init__(self, words: list[str] | None = None) -> None:
        super().__init__(())
        self.told = payloads(WORDS if words is None else words)
        self.framing = "transfer-encoding: chunked"
        self.retry: int | None = None  # milliseconds until an EventSource comes back, said with the first event
        self.more: list[str] = []  # header lines
        self.is_riverrun = True
        self.keys: list[str] = []  # of the POSTs, as they came
        self.refusals: list[str] = []  # statuses of the next POSTs
        self.unavailable: list[str] = []  # statuses of the next GETs
        self.stops_after: int | None = None
        self.last_words = b""
        self.repeats = False  # every GET is answered with what was told before, for as long as anybody listens
        self.location = "/v1/chat/completions/chatcmpl-1"

    def ask(self, request: Request) -> Play:
        self.requests.append(request)
        self._news.set()
        if request.line.startswith("GET"):
            if self.unavailable:
                return play(whole(b"", self.unavailable.pop(0), more="retry-after: 0"))
            if self.repeats:
                opening = head(framing=self.framing, more=self._location())
                again: list[Step] = [chunk(self.frame(1)), REPEATED_AFTER]
                return play(opening, *again * 2000, end="stall")
            after = int(request.headers.get("last-event-id", "0"))
            return self._events(after) if after < len(self.told) else play(whole(b"", "204 No Content"))
        self.keys.append(request.headers.get("idempotency-key", ""))
        if self.refusals:
            return play(whole(b"{}", self.refusals.pop(0), more="retry-after-ms: 1"))
        return self._events(0) if b'"stream":true' in request.body.replace(b" ", b"") else play(self._whole())

    def frame(self, number: int) -> bytes:
        text = b"data: %b\n\n" % self.told[number - 1]
        retry = b"" if number > 1 or self.retry is None else b"retry: %d\n" % self.retry
        return b"id: %d\n%b%b" % (number, retry, text) if self.is_riverrun else text

    def streamed(self) -> bytes:
        """The whole answer, as the wire has it."""
        return b"".join(step for step in self._events(0).steps if isinstance(step, bytes))

    def _location(self) -> str:
        lines = [f"location: {self.location}", "x-request-id: chatcmpl-1"] if self.is_riverrun else []
        return "\r\n".join([*lines, *self.more])

    def _events(self, after: int) -> Play:
        stop = len(self.told) if self.stops_after is None or after else self.stops_after
        frames = [HEARTBEAT] if self.is_riverrun else []
        frames += [self.frame(number) for number in range(after + 1, stop + 1)]
        last = [] if after or not self.last_words else [self.last_words]
        opening = head(framing=self.framing, more=self._location())
        if not self.framing:
            return play(opening, *frames, *last, end="clean")
        ending = b"" if stop < len(self.told) or last else LAST_CHUNK
        return play(opening, *map(chunk, frames + last), ending, end="keep" if ending else "stall")

    def _whole(self) -> bytes:
        message = {"role": "assistant", "content": "".join(WORDS)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
        return whole(json.dumps(body).encode(), more=self._location())
