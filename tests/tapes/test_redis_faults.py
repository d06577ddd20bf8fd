"""Redis is killed, frozen, cut off or full: nothing is sent that it does not have, nobody waits for ever, and all goes
on by itself when it is back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from riverrun.failures import Cause, Failure
from riverrun.stream.flow import Finished
from riverrun.tapes.contract import Committed, Listener, OwnTape, Taken
from riverrun.tapes.redis_entries import entries
from riverrun.tapes.redis_link import Link
from tests.redis import RedisServer, needs_redis, redis_server
from tests.tapes.contract import expected, opened, own
from tests.tapes.reader import PATIENCE, Ears, Reader, head
from tests.tapes.redis_timing import QUICK, tapes_at

pytestmark = needs_redis

KEY = "a" * 64
PATIENT = msgspec.structs.replace(QUICK, patience=30.0)
EVENTS = [b'{"n":%d}' % number for number in range(1, 121)]


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server(durable=True) as running:
        yield running


class Wire:
    """A TCP proxy that can stop passing bytes, in both directions, without closing anything; or cut what is there."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._passing = asyncio.Event()
        self._passing.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.url = ""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Wire]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
        try:
            yield self
        finally:
            server.close()
            self.cut()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def stall(self) -> None:
        self._passing.clear()

    def flow(self) -> None:
        self._passing.set()

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers |= {writer, to_writer}
        for source, sink in ((reader, to_writer), (to_reader, writer)):
            task = asyncio.ensure_future(self._pass(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await self._passing.wait()
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.close()


class Heir:
    """Ends what it adopts."""

    draining = False

    def __init__(self) -> None:
        self.adopted: list[str] = []

    def adopt(self, tape: OwnTape) -> Listener:
        self.adopted.append(tape.head.id)
        tape.append([b'{"n":"heir"}'])
        tape.close(Finished(), None)
        return Ears()


async def _through(url: str, server: RedisServer, upset: Callable[[], object], settle: Callable[[], object]) -> None:
    """A tape is written while something happens to Redis; what its followers have been given is always there."""
    tapes, plain = tapes_at(url, timing=PATIENT), tapes_at(server.tcp, timing=PATIENT)
    tape = await own(tapes)
    here, there = Reader().on(tape), Reader().on(await opened(plain))
    for number, event in enumerate(EVENTS[:60]):
        tape.append([event])
        if number == 30:
            upset()
        await asyncio.sleep(0.002)
    seen = here.lasts[-1]
    assert seen < 60
    for event in EVENTS[60:]:
        tape.append([event])
    await asyncio.sleep(1.5)  # longer than one answer may take, so that it tries again in vain
    assert here.lasts[-1] == seen
    settle()
    for reader in (here, there):
        await reader.until(len(EVENTS))
    tape.close(Finished(), None)
    for reader in (here, there):
        await reader.done()
        assert reader.bytes == expected(EVENTS)
        assert reader.endings == [Finished()]
    assert await _written(server) == expected(EVENTS)
    await tapes.close()
    await plain.close()


async def _written(server: RedisServer) -> bytes:
    """The events of chatcmpl-1 as Redis has them, with nothing left out or passed over."""
    link = Link(server.url)
    found = entries(await link.ask("XRANGE", "riverrun:tape:chatcmpl-1", "-", "+"))
    await link.close()
    fields = [zip(entry.fields[::2], entry.fields[1::2], strict=True) for entry in found]
    return b"".join(data[8:] for pairs in fields for kind, data in pairs if kind == b"B")


def test_redis_is_frozen(server: RedisServer) -> None:
    asyncio.run(_through(server.tcp, server, server.freeze, server.thaw))


def test_redis_is_killed_and_started_again(server: RedisServer) -> None:
    asyncio.run(_through(server.tcp, server, server.stop, server.start))


async def _partitioned(server: RedisServer, cut: bool) -> None:
    async with Wire(server.port).open() as wire:

        def settle() -> None:
            if cut:
                wire.cut()
            wire.flow()

        await _through(wire.url, server, wire.stall, settle)


@pytest.mark.parametrize("cut", [False, True])
def test_redis_is_cut_off(server: RedisServer, cut: bool) -> None:
    asyncio.run(_partitioned(server, cut))


class Keeper:
    """Adopts, and leaves the tape as it is."""

    draining = False

    def __init__(self) -> None:
        self.ears = Ears()
        self.adopted: asyncio.Future[OwnTape] = asyncio.get_running_loop().create_future()

    def adopt(self, tape: OwnTape) -> Listener:
        self.adopted.set_result(tape)
        return self.ears


async def _taken_over(server: RedisServer) -> None:
    """The owner is cut off for so long that another takes over, in front of a reader in a third process."""
    async with Wire(server.port).open() as wire:
        ears, keeper = Ears(), Keeper()
        first, second, third = tapes_at(wire.url, timing=PATIENT), tapes_at(server.tcp), tapes_at(server.tcp)
        await second.open_for(keeper)
        tape = await own(first, listener=ears)
        here, there = Reader().on(tape), Reader().on(await opened(third))
        tape.append(EVENTS[:3])
        tape.commit(Committed("tiny"))
        for reader in (here, there):
            await reader.until(3)
        wire.stall()
        tape.append(EVENTS[3:5])
        async with asyncio.timeout(PATIENCE):
            adopted = await keeper.adopted
            assert await adopted.committed() == Committed("tiny")
        assert adopted.written == adopted.last == 3
        await keeper.ears.until("joined")
        adopted.append([b'"other"'])
        await there.until(4)
        wire.flow()
        await ears.until("broken")
        with pytest.raises(Failure, match="Another server goes on"):
            tape.append(EVENTS[5:6])
        tape.close(Finished(), None)
        await here.done()
        assert here.bytes == expected(EVENTS[:3])
        again = Reader().on(await opened(first), 3)
        adopted.close(Finished(), None)
        for reader in (there, again):
            await reader.done()
            assert reader.endings == [Finished()]
        assert there.bytes == here.bytes + again.bytes == expected([*EVENTS[:3], b'"other"'])
        assert await _written(server) == there.bytes
        for tapes in (first, second, third):
            await tapes.close()


def test_an_owner_that_was_cut_off_and_replaced_writes_nothing(server: RedisServer) -> None:
    asyncio.run(_taken_over(server))


async def _resets(server: RedisServer) -> None:
    tapes, ears = None, Ears()
    async with Wire(server.port).open() as wire:
        tapes = tapes_at(wire.url, timing=PATIENT)
        tape = await own(tapes, listener=ears)
        reader = Reader().on(tape)
        for number, event in enumerate(EVENTS):
            tape.append([event])
            if number % 10 == 5:
                wire.cut()
            await asyncio.sleep(0.005)
        await reader.until(len(EVENTS))
        tape.close(Finished(), None)
        await reader.done()
        assert reader.bytes == expected(EVENTS) == await _written(server)
        assert ears.heard == ["joined"]
        await tapes.close()


def test_every_connection_is_reset_again_and_again(server: RedisServer) -> None:
    asyncio.run(_resets(server))


async def _gives_up(server: RedisServer) -> None:
    heir, ears = Heir(), Ears()
    tapes = tapes_at(server.url)
    await tapes.open_for(heir)
    tape = await own(tapes, listener=ears)
    tape.append(EVENTS[:1])
    reader = Reader().on(tape)
    await reader.until(1)
    server.freeze()
    tape.append(EVENTS[1:2])
    started = time.monotonic()
    with pytest.raises(Failure) as refused:
        await tapes.create(head("chatcmpl-2", key=KEY), Ears())
    assert refused.value.cause is Cause.STORAGE
    assert time.monotonic() - started < 2 * QUICK.answer
    await ears.until("broken")
    tape.close(Finished(), None)
    await reader.done()
    assert reader.lasts == [1]
    assert [failure.status for failure in reader.failures] == [503]
    server.thaw()
    async with asyncio.timeout(PATIENCE):
        while not heir.adopted:
            await asyncio.sleep(0.05)
    again = Reader().on(await opened(tapes), 1)
    await again.done()
    assert again.endings == [Finished()]
    async with asyncio.timeout(PATIENCE):  # Redis may have made it after we had given up; the key is free nevertheless
        made = await tapes.create(head("chatcmpl-3", key=KEY), Ears())
    assert not isinstance(made, Taken)
    assert heir.adopted == ["chatcmpl-1"]
    await tapes.close()


def test_a_stream_that_waited_too_long_is_told_and_goes_on_later(server: RedisServer) -> None:
    asyncio.run(_gives_up(server))


async def _full(server: RedisServer) -> None:
    tapes = tapes_at(server.url, timing=PATIENT)
    tape = await own(tapes)
    reader = Reader().on(tape)
    tape.append(EVENTS[:1])
    await reader.until(1)
    assert server.command("CONFIG", "SET", "maxmemory", "1") == b"+OK"
    tape.append(EVENTS[1:2])
    with pytest.raises(Failure) as refused:
        await tapes.create(head("chatcmpl-2"), Ears())
    assert refused.value.status == 503
    assert reader.lasts == [1]
    tape.append(EVENTS[2:3])
    assert server.command("CONFIG", "SET", "maxmemory", "0") == b"+OK"
    await reader.until(3)
    assert reader.bytes == expected(EVENTS[:3])
    await tapes.close()


def test_redis_has_no_memory_left(server: RedisServer) -> None:
    asyncio.run(_full(server))


async def _behind() -> None:
    with redis_server() as server:
        tapes, other = tapes_at(server.url, timing=PATIENT), tapes_at(server.url, timing=PATIENT)
        tape = await own(tapes)
        reader = Reader().on(tape)
        tape.append(EVENTS[:1])
        await reader.until(1)
        assert server.command("SAVE") == b"+OK"
        there = Reader().on(await opened(other))
        for number in range(1, 4):
            tape.append(EVENTS[number : number + 1])
            await there.until(number + 1)
        server.stop()
        server.start()  # with what it had when it saved
        tape.append(EVENTS[4:5])
        for each in (reader, there):
            await each.until(5)
            assert each.bytes == expected(EVENTS[:5])
        assert await _written(server) == expected(EVENTS[:5])
        await tapes.close()
        await other.close()


def test_a_redis_that_took_over_without_the_last_entries_gets_them_again() -> None:
    asyncio.run(_behind())


async def _forgotten(server: RedisServer) -> None:
    tapes, ears = tapes_at(server.url, timing=PATIENT), Ears()
    tape = await own(tapes, listener=ears)
    tape.append(EVENTS[:1])
    reader = Reader().on(tape)
    await reader.until(1)
    assert server.command("FLUSHALL") == b"+OK"
    tape.append(EVENTS[1:2])
    await ears.until("broken")
    tape.close(Finished(), None)
    await reader.done()
    assert reader.lasts == [1]
    assert [failure.status for failure in reader.failures] == [503]
    await own(tapes, "chatcmpl-2")
    await tapes.close()


def test_what_redis_forgot_is_not_gone_on_with(server: RedisServer) -> None:
    asyncio.run(_forgotten(server))
