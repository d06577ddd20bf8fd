"""Times streamed answers with as little work as can be: what came when is kept, and read only when all is over.

Knows plain HTTP/1.1 and the two fields of a chunk that count; refuses to know who answers.
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from statistics import mean

SILENCE = 60.0
GAP = 0.002
"""Seconds between the requests of a round. The engine works in steps of some 10 ms, and whoever misses one waits for
the next. Were all sent at once, chance would decide who misses it; so all but the first do, on either side."""
CONTENT = re.compile(rb'"content":"(?!")')
"""A token's text. The opener's is null at the engine and empty at riverrun; neither is a token."""
LAST = re.compile(rb'"finish_reason":"length"')
TOKENS = re.compile(rb'"completion_tokens":(\d+)')


class NoAnswer(Exception):
    """A stream was refused, broke off, or was not as long as it should be."""


@dataclass(frozen=True)
class Side:
    """Who is asked: its name in messages, and how to connect to it."""

    name: str
    connect: Callable[[], socket.socket]


@dataclass(frozen=True)
class Round:
    """Some streams at once: their tokens per second together, and the mean time to their first one in seconds."""

    speed: float
    first_token: float


@dataclass
class _Stream:
    """One answer as it comes: each block with its time."""

    sent: float
    blocks: list[tuple[float, bytes]] = field(default_factory=list)

    def time_of(self, offset: int) -> float:
        """When the byte at this offset came."""
        ends = accumulate(len(block) for _, block in self.blocks)
        return next(when for (when, _), end in zip(self.blocks, ends, strict=True) if offset < end)


def ask(side: Side, bodies: Sequence[dict[str, object]], tokens: int) -> Round:
    """Sends the requests, GAP apart, and reads all answers at once. Each must have `tokens` tokens, at least 2.

    The connections are open before the clock starts. Speed counts the tokens after each stream's first, from the
    first token of any stream to the last of any. Raises NoAnswer.
    """
    streams = _receive(side, [_request(body) for body in bodies])
    read = [_read(side, stream, tokens) for stream in streams]
    began, ended = min(first for first, _ in read), max(last for _, last in read)
    waits = [first - stream.sent for stream, (first, _) in zip(streams, read, strict=True)]
    return Round((tokens - 1) * len(read) / (ended - began), mean(waits))


def _request(body: dict[str, object]) -> bytes:
    """The answer ends with its connection, so nobody needs to look for its end."""
    data = json.dumps(body).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
        f"content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


def _receive(side: Side, requests: Sequence[bytes]) -> list[_Stream]:
    waiting = deque((side.connect(), request) for request in requests)
    streams = []
    due = time.perf_counter()
    with selectors.DefaultSelector() as selector:
        while waiting or selector.get_map():
            if waiting and time.perf_counter() >= due:
                due += GAP
                connection, request = waiting.popleft()
                streams.append(_Stream(sent=time.perf_counter()))
                connection.sendall(request)
                selector.register(connection, selectors.EVENT_READ, streams[-1])
            ready = selector.select(max(0.0, due - time.perf_counter()) if waiting else SILENCE)
            if not ready and not waiting:
                raise NoAnswer(f"{side.name} said nothing for {SILENCE:.0f} s.")
            for key, _ in ready:
                _take(selector, key)
    return streams


def _take(selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    connection, stream = key.fileobj, key.data
    assert isinstance(connection, socket.socket)
    block = connection.recv(65536)
    if block:
        stream.blocks.append((time.perf_counter(), block))
    else:
        selector.unregister(connection)
        connection.close()


def _read(side: Side, stream: _Stream, tokens: int) -> tuple[float, float]:
    """When its first content came, and its end: some tokens are no text, so the last content may be earlier."""
    answer = b"".join(block for _, block in stream.blocks)
    first, last, counts = CONTENT.search(answer), LAST.search(answer), TOKENS.findall(answer)
    if first is None or last is None or not counts or int(counts[-1]) != tokens:
        raise NoAnswer(f"{side.name} gave no stream of {tokens} tokens; its last bytes: {answer[-400:]!r}")
    return stream.time_of(first.start()), stream.time_of(last.start())
