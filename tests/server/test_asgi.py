"""The adapter: the same interface on any other ASGI host, played by two plain functions."""

import asyncio
from collections.abc import Callable

import pytest

from riverrun.server.asgi import AsgiStream, Message
from riverrun.server.stream import StreamCut
from tests.server.served import PATIENCE


class ForeignHost:
    """What an ASGI host does: takes messages (when `open`), and says when the client leaves."""

    def __init__(self) -> None:
        self.taken: list[Message] = []
        self.open = asyncio.Event()
        self.open.set()
        self.left = asyncio.Event()
        self.fails = False

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await self.open.wait()
        if self.fails:
            raise OSError("the connection is closed")
        self.taken.append(message)

    def body(self) -> bytes:
        return b"".join(bytes(message.get("body", b"")) for message in self.taken)  # type: ignore[call-overload]


def run(play: Callable[[ForeignHost, AsgiStream], object]) -> ForeignHost:
    async def all_of_it() -> ForeignHost:
        host = ForeignHost()
        async with asyncio.timeout(PATIENCE):
            stream = AsgiStream(host.receive, host.send, high_water=10)
            stream.listen()
            await play(host, stream)  # type: ignore[misc]
        assert len(asyncio.all_tasks()) == 1  # the listener has ended too
        return host

    return asyncio.run(all_of_it())


def test_a_finished_answer_is_sent_in_order() -> None:
    async def play(host: ForeignHost, stream: AsgiStream) -> None:
        stream.start(200, [(b"x-a", b"b")])
        assert stream.write(b"one")
        assert stream.write(b"two")
        stream.finish()
        stream.write(b"never")
        await stream.done()

    host = run(play)
    assert host.taken[0] == {"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"b")]}
    assert host.body() == b"onetwo"
    assert [message.get("more_body") for message in host.taken] == [None, True, True, False]


def test_an_abort_sends_what_was_written_and_then_makes_the_host_cut() -> None:
    async def play(host: ForeignHost, stream: AsgiStream) -> None:
        stream.start(200, [])
        stream.write(b"one")
        stream.abort()
        with pytest.raises(StreamCut):
            await stream.done()

    host = run(play)
    assert host.body() == b"one"
    assert all(message.get("more_body") is not False for message in host.taken)


def test_a_slow_host_stops_the_writer_until_it_has_caught_up() -> None:
    async def play(host: ForeignHost, stream: AsgiStream) -> None:
        resumed = asyncio.Event()
        stream.on_resume = resumed.set
        host.open.clear()
        stream.start(200, [])
        sending = asyncio.create_task(stream.done())
        assert stream.write(b"x" * 10)
        assert not stream.write(b"x")
        assert not resumed.is_set()
        host.open.set()
        await resumed.wait()
        assert stream.write(b"y")
        stream.finish()
        await sending

    assert run(play).body() == b"x" * 11 + b"y"


@pytest.mark.parametrize("started", [True, False])
def test_a_client_that_leaves_is_noticed_once(started: bool) -> None:
    calls: list[bool] = []

    async def play(host: ForeignHost, stream: AsgiStream) -> None:
        stream.on_gone = lambda: calls.append(stream.gone)
        if started:
            stream.start(200, [])
        host.left.set()
        await stream.done()
        assert not stream.write(b"one")
        stream.abort()
        await stream.done()

    assert run(play).body() == b""
    assert calls == [True]


def test_a_host_that_fails_to_send_has_lost_its_client() -> None:
    calls: list[bool] = []

    async def play(host: ForeignHost, stream: AsgiStream) -> None:
        stream.on_gone = lambda: calls.append(True)
        host.fails = True
        stream.start(200, [])
        await stream.done()

    run(play)
    assert calls == [True]


def test_a_whole_answer_ends_the_listener_too() -> None:
    async def play(host: ForeignHost, stream: AsgiStream) -> None:
        stream.answer(200, [(b"x-a", b"b")], b"whole")
        await stream.done()

    host = run(play)
    assert [message["type"] for message in host.taken] == ["http.response.start", "http.response.body"]
    assert host.body() == b"whole"


def test_nobody_listens_before_the_body_was_read() -> None:
    async def check() -> None:
        host = ForeignHost()
        stream = AsgiStream(host.receive, host.send)
        stream.answer(200, [], b"whole")
        await stream.done()
        assert len(asyncio.all_tasks()) == 1
        assert host.body() == b"whole"

    asyncio.run(check())
