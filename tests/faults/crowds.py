"""The rows X22 and X23: hundreds of readers that are slow or frozen, thousands of connections that never finish asking.

What the healthy clients beside them notice is measured on the machine that runs this, before and with the crowd; the
crowd, the upstream and the healthy clients share its processors with the server. So the ratio is shown, and only a
generous bound on it is held to.
"""

from __future__ import annotations

import asyncio
import errno
import json
import resource
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from tests.faults.figures import quantile
from tests.faults.readers import Heard, Reader, all_replayed, taking_turns
from tests.faults.replicas import played, replica
from tests.faults.rows import Outcome, Row
from tests.faults.storyteller import Storyteller
from tests.servers import Served
from tests.upstreams import serve

HEALTHY, WORDS, PACE = 8, 100, 0.03
SLOW, FROZEN, READ = 500, 50, 5
"""Readers, and how many streams they read between them."""
LONG = "x" * 3000
SIP = 256
"""Bytes that a slow reader takes a second."""
SMALL = 4096
"""Bytes that the kernel holds for a reader of the crowd."""
MIB = 1024 * 1024
MEMORY = 96 * MIB
"""What the crowd may cost: 64 KiB a connection and a little are 36 MiB; the streams that it reads 15 MiB."""
BEARABLE = 5.0
"""How many times as long the healthy ones' 99th percentile may be, on a busy machine."""
NOISE = 0.25
"""Seconds below which that is no matter."""
SETTLED = 1.0
"""Seconds after which the crowd is there, and its buffers are full."""
DRIPPING = 2000
REAPED = 40.0


async def healthy(name: str, port: int) -> tuple[list[Heard], float]:
    """Some stories beside each other, and the 99th percentile of the gaps between their words."""
    readers = [Reader(f"{name}{number}", WORDS, lambda: port) for number in range(HEALTHY)]
    every = await asyncio.gather(*(reader.read() for reader in readers))
    return list(every), quantile([gap for heard in every for gap in heard.gaps], 0.99)


def small_socket(port: int) -> socket.socket:
    """A connection of the crowd."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
    sock.connect(("127.0.0.1", port))
    sock.setblocking(False)
    return sock


# Readers


async def slow_readers(n: int) -> AsyncIterator[Outcome]:
    tried = 0
    while tried < n:
        async with AsyncExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory()))
            upstream = await stack.enter_async_context(serve(upstream=Storyteller(PACE)))
            server = await stack.enter_async_context(replica(folder, upstream.base_url, "memory:"))
            before, alone = await healthy("alone", server.port)
            memory = resident(server)
            read = [Reader(f"read{number}{LONG}", 4 * WORDS, taking_turns(server.port)) for number in range(READ)]
            reading = [asyncio.create_task(reader.read()) for reader in read]
            while not all(reader.heard.words for reader in read):
                await asyncio.sleep(0.01)
            crowd = [small_socket(server.port) for _ in range(SLOW + FROZEN)]
            for number, sock in enumerate(crowd):
                path = f"/v1/chat/completions/{read[number % READ].heard.id}?stream=true"
                sock.send(f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
            sipping = asyncio.create_task(sip(crowd[:SLOW]))
            await asyncio.sleep(SETTLED)
            every, beside = await healthy("beside", server.port)
            grown = resident(server) - memory
            sipping.cancel()
            for sock in crowd:
                sock.close()
            every += await asyncio.gather(*reading)
            outcomes = await all_replayed(server.port, [*before, *every])
            note = f"their p99 {beside / alone:.2f} times, memory +{grown / MIB:.0f} MiB"
            broken = unbearable(beside, alone) or (f"memory grew by {grown / MIB:.0f} MiB" if grown > MEMORY else "")
            for outcome in outcomes[len(before) :][: n - tried]:
                tried += 1
                yield outcome._replace(broken=outcome.broken or broken, note=note)


async def sip(crowd: list[socket.socket]) -> None:
    """A little from each, once a second, spread over it."""
    while True:
        for start in range(0, len(crowd), 25):
            for sock in crowd[start : start + 25]:
                with suppress(BlockingIOError):
                    sock.recv(SIP)
            await asyncio.sleep(25 / len(crowd))


def resident(server: Served) -> int:
    return int(psutil.Process(server.process.pid).memory_info().rss)


def unbearable(beside: float, alone: float) -> str:
    return f"p99 {beside:.3f} s, {alone:.3f} s alone" if beside > max(BEARABLE * alone, NOISE) else ""


# Askers


async def slowloris(n: int) -> AsyncIterator[Outcome]:
    tried = 0
    while tried < n:
        async with AsyncExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory()))
            stack.enter_context(files(DRIPPING + 500))
            upstream = await stack.enter_async_context(serve(upstream=Storyteller(PACE)))
            server = await stack.enter_async_context(replica(folder, upstream.base_url, "memory:"))
            before, alone = await healthy("alone", server.port)
            crowd = Dripping(server.port)
            dripping = asyncio.create_task(crowd.drip())
            every, beside = await healthy("beside", server.port)
            await dripping
            outcomes = await all_replayed(server.port, [*before, *every])
            note = f"their p99 {beside / alone:.2f} times, the last of {DRIPPING} closed after {crowd.longest:.0f} s"
            left = f"{len(crowd.open)} were still open after {REAPED:g} s" if crowd.open else ""
            for outcome in outcomes[len(before) :][: n - tried]:
                tried += 1
                yield outcome._replace(broken=outcome.broken or left or unbearable(beside, alone), note=note)


class Dripping:
    """Connections that send a byte every two seconds: one half in the middle of a head, the other of a body."""

    def __init__(self, port: int) -> None:
        self.longest = 0.0
        self.open: dict[socket.socket, float] = {}
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
        body = head + b"content-type: application/json\r\ncontent-length: 1000\r\n\r\n" + json.dumps({}).encode()[:1]
        for number in range(DRIPPING):
            sock = small_socket(port)
            sock.send(body if number % 2 else head + b"x-")
            self.open[sock] = time.monotonic()

    async def drip(self) -> None:
        """Until all are closed by the server, or its time for that is over."""
        end = time.monotonic() + REAPED
        while self.open and time.monotonic() < end:
            every = list(self.open)
            for start in range(0, len(every), 50):
                for sock in every[start : start + 50]:
                    if self._closed(sock):
                        self.longest = max(self.longest, time.monotonic() - self.open.pop(sock))
                        sock.close()
                await asyncio.sleep(2.0 * 50 / DRIPPING)
        for sock in self.open:
            sock.close()

    def _closed(self, sock: socket.socket) -> bool:
        """Whether the server has ended it; else it gets another byte."""
        try:
            while data := sock.recv(4096):
                assert data.startswith(b"HTTP/1.1 408") or b"200" not in data
            return True
        except BlockingIOError:
            pass
        except OSError:
            return True
        try:
            sock.send(b"a")
        except OSError as error:
            return error.errno != errno.EAGAIN
        return False


@contextmanager
def files(count: int) -> Iterator[None]:
    """So many files may be open in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, count), hard), hard))
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        yield


def rows() -> Iterator[Row]:
    slow = f"{SLOW} readers that take {SIP} bytes a second and {FROZEN} that take none, beside {HEALTHY} healthy ones"
    yield Row("X22", slow, HEALTHY + READ, played(slow_readers), in_suite=0)
    dripping = f"{DRIPPING} connections that drip heads or bodies, beside {HEALTHY} healthy ones"
    yield Row("X23", dripping, HEALTHY, played(slowloris), in_suite=0)
