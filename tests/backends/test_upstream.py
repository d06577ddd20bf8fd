"""The upstream client against real sockets: whatever the bytes do, one true ending."""

from __future__ import annotations

import asyncio
import gc
import socket
from pathlib import Path

import msgspec
import pytest

from riverrun.backends.call import UpstreamCall
from riverrun.backends.content import Streamed
from riverrun.backends.upstream import Upstream
from riverrun.dialects.contract import Outgoing
from riverrun.dialects.openai import OpenAI
from riverrun.failures import Cause, Failure
from riverrun.stream.deltas import Finish, Text
from riverrun.stream.flow import Call, Cancelled, Finished
from tests.backends.asking import (
    ASK,
    CHUNKED,
    EVENTS,
    LENGTH,
    SAID,
    TO_EOF,
    UNENDED,
    Ears,
    Plain,
    ask,
    both_loops,
    client,
    run,
    target,
)
from tests.upstreams import LAST_CHUNK, PATIENCE, How, chunk, head, play, serve, sse, whole

# What is sent.


@both_loops
@pytest.mark.parametrize("unix", [False, True])
def test_the_request_and_the_answer(loop: str, unix: bool, tmp_path: Path) -> None:
    async def test() -> None:
        outgoing = Outgoing("/say", b'{"say":1}', (("x-more", "1"),), dropped=("seed",))
        backend = client(Plain(outgoing))
        async with serve(play(CHUNKED), unix=tmp_path / "u.sock" if unix else None) as upstream:
            to = target(upstream.base_url, key="secret")
            ears, begun = Ears(), list[object]()
            backend.start(ASK, to, ears, lambda target, dropped: begun.append((target, dropped)))
            assert begun == [(to, ("seed",))]
            assert not ears.pushes
            assert await ears.ending() == Finished()
            assert ears.text == SAID
            (request,) = upstream.requests
            assert request.line == "POST /v1/say HTTP/1.1"
            assert request.body == b'{"say":1}'
            assert request.headers["host"] == ("localhost" if unix else f"127.0.0.1:{upstream.port}")
            assert request.headers["authorization"] == "Bearer secret"
            assert request.headers["accept-encoding"] == "identity"
            assert request.headers["x-more"] == "1"
            backend.close()

    run(test(), loop)


@both_loops
def test_a_large_request_arrives_whole(loop: str) -> None:
    async def test() -> None:
        body = b"x" * 3_000_000
        backend = client(Plain(Outgoing("/say", body)))
        async with serve(play(CHUNKED)) as upstream:
            ears, _ = ask(backend, target(upstream.base_url))
            assert await ears.ending() == Finished()
            assert upstream.requests[0].body == body
            backend.close()

    run(test(), loop)


@pytest.mark.parametrize("key", ["two\nlines", "ключ"])
def test_a_key_that_cannot_be_a_header_is_a_failure_that_does_not_show_it(key: str) -> None:
    async def test() -> None:
        ears, _ = ask(client(), target("http://127.0.0.1:9", key=key))
        assert not ears.endings
        failure = await ears.failure()
        assert failure.cause is Cause.INTERNAL
        assert key not in failure.message

    run(test())


def test_what_the_dialect_refuses_is_never_started() -> None:
    class Refusing(Plain):
        def encode(self, ask: object, target: object) -> Outgoing:
            raise Failure(Cause.BAD_REQUEST, "cannot be said", param="n")

    async def test() -> None:
        ears, begun = Ears(), list[object]()
        backend = client(Refusing())
        call = backend.start(ASK, target("http://127.0.0.1:9"), ears, lambda target, dropped: begun.append(dropped))
        assert not ears.endings
        assert (await ears.failure()).param == "n"
        call.cancel()
        assert len(ears.endings) == 1
        assert begun == []

    run(test())


# How the answer comes.


@pytest.mark.parametrize("answer", [CHUNKED, LENGTH, TO_EOF], ids=["chunked", "length", "eof"])
def test_every_split_says_the_same(answer: bytes) -> None:
    async def test() -> None:
        end: How = "clean" if answer is TO_EOF else "keep"
        splits = [play(answer[:cut], 0.0, 0.0, answer[cut:], end=end) for cut in range(1, len(answer))]
        bytewise = [step for i in range(len(answer)) for step in (answer[i : i + 1], 0.0)]
        async with serve(*splits, play(*bytewise, end=end)) as upstream:
            backend = client()
            for _ in range(len(splits) + 1):
                ears, _ = ask(backend, target(upstream.base_url))
                assert await ears.ending() == Finished()
                assert ears.text == SAID
            assert len(ears.pushes) > 20
            backend.close()

    run(test())


def test_one_push_a_read_also_for_a_ping() -> None:
    async def test() -> None:
        gate, other = asyncio.Event(), asyncio.Event()
        answer = play(head(), gate, chunk(sse(b"a", b"b")) + chunk(sse(b"c")), other, chunk(b": ping\n\n"), end="stall")
        async with serve(answer) as upstream:
            backend = client()
            ears, call = ask(backend, target(upstream.base_url))
            pushed = asyncio.Event()
            ears.on_push = pushed.set
            for open_next in (gate.set, other.set, lambda: None):
                await pushed.wait()
                pushed.clear()
                open_next()
            assert [len(push) for push in ears.pushes] == [0, 3, 0]
            call.cancel()

    run(test())


@pytest.mark.parametrize("body", [b'"Hello"', b""])
@pytest.mark.parametrize("framing", ["length", "eof"])
def test_an_answer_that_comes_whole(body: bytes, framing: str) -> None:
    async def test() -> None:
        bare = head(kind="application/json; charset=utf-8", framing="")
        answer = play(whole(body)) if framing == "length" else play(bare + body, end="clean")
        async with serve(answer) as upstream:
            backend = client()
            ears, _ = ask(backend, target(upstream.base_url))
            if body:
                assert await ears.ending() == Finished()
                assert [push for push in ears.pushes if push] == [[Text(0, b'"Hello"'), Finish(0, "stop")]]
            else:
                assert (await ears.failure()).cause is Cause.UPSTREAM_MALFORMED
            backend.close()

    run(test())


@pytest.mark.parametrize("framing", ["chunked", "eof"])
def test_an_end_that_is_the_end_of_the_body(framing: str) -> None:
    async def test() -> None:
        events = sse(b"Hello", b"...")
        chunked = play(head() + chunk(events) + LAST_CHUNK)
        async with serve(chunked if framing == "chunked" else play(head(framing="") + events, end="clean")) as upstream:
            backend = client()
            ears, _ = ask(backend, target(upstream.base_url))
            assert await ears.ending() == Finished()
            assert ears.pushes[-1][-1] == Finish(0, "stop")
            backend.close()

    run(test())


def test_what_comes_after_the_end_is_not_read() -> None:
    async def test() -> None:
        late = chunk(EVENTS + sse(b"?", b"more")) + chunk(b"x" * 100)
        async with serve(play(head() + late + LAST_CHUNK), play(head() + late, end="stall")) as upstream:
            backend = client()
            for _ in range(2):  # the second must not wait for the message's end
                ears, _ = ask(backend, target(upstream.base_url))
                assert await ears.ending() == Finished()
                assert ears.text == SAID
            assert upstream.connections == 1
            await upstream.gone(1)  # it is closed after a moment
            backend.close()

    run(test())


# Cancelling.


@both_loops
@pytest.mark.parametrize(
    "steps",
    [(), (b"HTTP/1.1 200",), (head(),), (head(), chunk(UNENDED)), (head("500 Oops"), chunk(b"x"))],
    ids=["waiting", "in the status line", "after the head", "streaming", "in an error"],
)
def test_cancelling_closes_at_once(loop: str, steps: tuple[bytes, ...]) -> None:
    async def test() -> None:
        async with serve(play(*steps, end="stall")) as upstream:
            ears, call = ask(client(), target(upstream.base_url))
            await upstream.asked(1)
            if len(steps) == 2 and b"500" not in steps[0]:
                await ears.first()
            call.cancel()
            call.cancel()
            assert ears.endings == [Cancelled()]
            await upstream.gone(1)

    run(test(), loop)


@both_loops
def test_cancelling_before_and_while_connecting(loop: str) -> None:
    async def test() -> None:
        async with serve(play(CHUNKED)) as upstream:
            ears, call = ask(client(), target(upstream.base_url))
            call.cancel()
            assert ears.endings == [Cancelled()]
            ears, call = ask(client(), target(upstream.base_url))
            await upstream.connected(1)
            call.cancel()
            assert ears.endings == [Cancelled()]
            await upstream.gone(1)
            assert not ears.pushes

    run(test(), loop)


def test_cancelling_while_the_request_is_being_sent() -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            backend = client(Plain(Outgoing("/say", b"x" * 20_000_000)))
            ears, call = ask(backend, target(f"http://127.0.0.1:{listener.getsockname()[1]}"))
            connection, _ = await loop.sock_accept(listener)
            with connection:
                await loop.sock_recv(connection, 1000)
                call.cancel()
                assert ears.endings == [Cancelled()]
                size = 1
                while size:
                    size = len(await loop.sock_recv(connection, 1_000_000))

    run(test())


def test_cancelling_from_within_a_push_and_after_the_end() -> None:
    async def test() -> None:
        async with serve(play(CHUNKED)) as upstream:
            backend = client()
            ears = Ears()
            calls: list[Call] = []
            ears.on_push = lambda: calls[0].cancel() if ears.pushes[-1] else None
            calls.append(backend.start(ASK, target(upstream.base_url), ears, lambda target, dropped: None))
            assert await ears.ending() == Cancelled()
            ears, call = ask(backend, target(upstream.base_url))
            assert await ears.ending() == Finished()
            call.cancel()
            assert ears.endings == [Finished()]
            backend.close()

    run(test())


def test_closing_the_client_ends_its_calls() -> None:
    async def test() -> None:
        async with serve(play(head(framing="") + UNENDED, end="stall")) as upstream:
            backend = client()
            ears, _ = ask(backend, target(upstream.base_url))
            await ears.first()
            backend.close()
            assert (await ears.failure()).cause is Cause.UPSTREAM_INTERRUPTED
            ears, _ = ask(backend, target(upstream.base_url))
            assert (await ears.failure()).cause is Cause.UPSTREAM_UNREACHABLE

    run(test())


# The real language.


@both_loops
def test_the_openai_dialect_over_a_socket(loop: str) -> None:
    said = [
        {"role": "assistant", "content": ""},
        {"content": "Hel"},
        {"content": "lo"},
    ]
    frame: dict[str, object] = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "theirs"}
    chunks = [{**frame, "choices": [{"index": 0, "delta": each, "finish_reason": None}]} for each in said]
    chunks.append({**frame, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    events = sse(*(msgspec.json.encode(each) for each in chunks), b"[DONE]")

    async def test() -> None:
        async with serve(
            play(head() + chunk(events) + LAST_CHUNK), play(head() + chunk(events[:-60]), end="clean")
        ) as upstream:
            backend = Upstream({"openai": OpenAI()})
            to = msgspec.structs.replace(target(upstream.base_url), dialect="openai", row="compatible")
            ears, _ = ask(backend, to)
            assert await ears.ending() == Finished()
            assert ears.text == "Hello"
            assert msgspec.json.decode(upstream.requests[0].body)["model"] == "theirs"
            ears, _ = ask(backend, to)
            assert (await ears.failure()).cause is Cause.UPSTREAM_INTERRUPTED
            backend.close()

    run(test(), loop)


# What stays behind.


@both_loops
@pytest.mark.parametrize("answer", [CHUNKED, TO_EOF, chunk(b"?"), head(framing="content-length: 3") + b"abc"])
@pytest.mark.parametrize("cancelled", [False, True])
def test_a_call_that_is_over_leaves_nothing_for_the_garbage_collector(
    loop: str, answer: bytes, cancelled: bool
) -> None:
    async def test() -> None:
        backend = client()
        async with serve(play(answer)) as upstream:
            for _ in range(3):  # a new connection, and old ones
                ears, call = ask(backend, target(upstream.base_url))
                if cancelled:
                    await asyncio.sleep(0)
                    call.cancel()
                await ears.ending()
            del ears, call
            async with asyncio.timeout(PATIENCE):
                while any(isinstance(each, UpstreamCall | Ears | Streamed) for each in gc.get_objects()):
                    await asyncio.sleep(0)  # the loop still holds on to the task that it called
            backend.close()

    gc.collect()
    gc.disable()
    try:
        run(test(), loop)
    finally:
        gc.enable()
