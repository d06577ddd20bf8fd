"""Bodies of every kind over real sockets: what breaks, lies or has no end never looks finished."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from riverrun.backends import content
from riverrun.backends.call import OUR_BUG
from riverrun.backends.pool import Pool
from riverrun.failures import Cause
from tests.backends.asking import (
    CHUNKED,
    EVENTS,
    LENGTH,
    SAID,
    TO_EOF,
    UNENDED,
    ask,
    both_loops,
    client,
    run,
    target,
)
from tests.upstreams import LAST_CHUNK, How, Play, chunk, head, play, serve, sse, whole


@pytest.mark.parametrize("answer", [CHUNKED, LENGTH, TO_EOF], ids=["chunked", "length", "eof"])
@pytest.mark.parametrize("end", ["clean", "reset", "half-close"])
def test_a_cut_at_any_byte_never_looks_finished(answer: bytes, end: How) -> None:
    async def test() -> None:
        cuts = range(1, answer.index(b"[END]") + len(b"[END]\n\n"))
        async with serve(*(play(answer[:cut], end=end) for cut in cuts)) as upstream:
            backend = client()
            for _ in cuts:
                ears, _ = ask(backend, target(upstream.base_url))
                assert (await ears.failure()).cause is Cause.UPSTREAM_INTERRUPTED
                assert SAID.startswith(ears.text)

    run(test())


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (play(b"SSH-2.0-OpenSSH_9.2\r\n", end="stall"), Cause.UPSTREAM_MALFORMED),
        (play(head() + chunk(sse(b"Hello", b"!", b"[END]")), end="stall"), Cause.UPSTREAM_ERROR),
        (play(head() + chunk(sse(b"Hello")) + b"zz\r\n", end="stall"), Cause.UPSTREAM_MALFORMED),
        (play(head() + chunk(UNENDED) + LAST_CHUNK), Cause.UPSTREAM_INTERRUPTED),
        (play(head() + chunk(UNENDED + b"data: [END]\n") + LAST_CHUNK), Cause.UPSTREAM_INTERRUPTED),
        (
            play(head(kind="application/json", framing="content-length: 9") + b'"Hel"', end="clean"),
            Cause.UPSTREAM_INTERRUPTED,
        ),
        (play(head() + chunk(sse(b"Hello", b"...")), end="clean"), Cause.UPSTREAM_INTERRUPTED),
        (play(whole(b'"..."')), Cause.UPSTREAM_INTERRUPTED),
        (play(whole(b'"Hel', kind="application/json")), Cause.UPSTREAM_MALFORMED),
        (play(whole(b"<html>", kind="text/html")), Cause.UPSTREAM_MALFORMED),
        (play(b"HTTP/1.1 204 No Content\r\n\r\n"), Cause.UPSTREAM_MALFORMED),
        (play(head(more="content-encoding: gzip") + chunk(gzip.compress(EVENTS))), Cause.UPSTREAM_MALFORMED),
        (play(head("302 Found", more="location: http://127.0.0.1:1/")), Cause.UPSTREAM_ERROR),
        (play(head("304 Not Modified")), Cause.UPSTREAM_ERROR),
        (play(head(more=f"x: {'y' * 70_000}")), Cause.UPSTREAM_MALFORMED),
    ],
)
def test_a_bad_answer_is_refused_for_its_cause(answer: Play, cause: Cause) -> None:
    async def test() -> None:
        async with serve(answer) as upstream:
            backend = client()
            ears, _ = ask(backend, target(upstream.base_url))
            failure = await ears.failure()
            assert failure.cause is cause
            assert str(upstream.port) not in failure.message
            assert ears.text in ("", "Hello", "...")
            assert len(upstream.requests) == 1
            backend.close()

    run(test())


@pytest.mark.parametrize("kind", ["text/event-stream", "application/json"])
def test_a_giant_event_or_answer_is_refused(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "MAX_WHOLE", 5_000_000)

    async def test() -> None:
        giant = chunk(b"data: " + b"x" * 1_000_000) + chunk(b"x" * 1_000_000) * 5
        async with serve(play(head(kind=kind) + giant, end="stall")) as upstream:
            ears, _ = ask(client(), target(upstream.base_url))
            assert (await ears.failure()).cause is Cause.UPSTREAM_MALFORMED
            await upstream.gone(1)

    run(test())


def test_an_http_error_is_the_dialects_to_read() -> None:
    async def test() -> None:
        busy = whole(b"slow down", "429 Too Many Requests", "text/plain", "retry-after: 7")
        cut = head("500 Oops", framing="content-length: 100") + b"part"
        packed = whole(gzip.compress(b"x"), "503 Busy", more="content-encoding: gzip")
        giant = head("502 Bad", framing="") + b"x" * 3_000_000
        async with serve(play(busy), play(cut, end="clean"), play(packed), play(giant, end="stall")) as upstream:
            backend = client()
            seen = []
            for _ in range(4):
                ears, _ = ask(backend, target(upstream.base_url))
                failure = await ears.failure()
                seen.append((failure.status, failure.message[:10], failure.retry_after))
            assert seen == [
                (429, "slow down", 7.0),
                (500, "part", None),
                (503, "", None),
                (502, "x" * 10, None),
            ]
            assert len(failure.message) == content.MAX_ERROR
            backend.close()

    run(test())


@both_loops
def test_a_bug_in_a_reader_ends_the_call_and_is_told_to_the_loop(loop: str) -> None:
    async def test() -> None:
        told: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
        async with serve(play(head() + chunk(sse(b"Hello", b"?")), end="stall")) as upstream:
            ears, _ = ask(client(), target(upstream.base_url))
            failure = await ears.failure()
            assert (failure.cause, failure.message) == (Cause.INTERNAL, OUR_BUG)
            await upstream.gone(1)
        assert [str(error) for error in told] == ["a bug"]

    run(test(), loop)


def test_a_bug_while_connecting_ends_the_call_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self: Pool, address: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Pool, "open", broken)

    async def test() -> None:
        told: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
        ears, _ = ask(client(), target("http://127.0.0.1:9"))
        assert (await ears.failure()).cause is Cause.INTERNAL
        await asyncio.sleep(0)
        assert [str(error) for error in told] == ["a bug"]

    run(test())
