"""A connection to another riverrun may break anywhere: nobody above hears of it, and nothing is lost or paid twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise
from random import Random

import msgspec
import pytest

from riverrun.backends.upstream import Upstream as Client
from riverrun.dialects.openai import OpenAI
from riverrun.failures import Cause
from riverrun.routing.target import Deadlines
from riverrun.runs.watch import Watch
from riverrun.stream.deltas import Finish, Text
from riverrun.stream.flow import Call, Cancelled, Finished
from riverrun.wire.sse import frame
from tests.backends.asking import ASK, Ears, Plain, ask, both_loops, client, run, target
from tests.backends.returning import PLACE, SAID, WORDS, Choosing, after, cut_once, frames, located, to, whole
from tests.faults import memory_net
from tests.upstreams import LAST_CHUNK, How, Play, Request, Upstream, _Connection, chunk, head, play, serve, sse
from tests.upstreams import whole as whole_body

REST = "GET /v1/chat/completions/chatcmpl-1"
BEGUN = located() + chunk(frames()[: len(frame(1, WORDS[0]) + frame(2, WORDS[1])) + 5])
"""An answer up to its second event."""


async def asked(upstream: Upstream, backend: Client | None = None) -> Ears:
    """One call to its end."""
    ears, _ = ask(backend or client(), to(upstream))
    return await over(ears)


async def over(ears: Ears) -> Ears:
    """In virtual time an ending may be minutes away."""
    async with asyncio.timeout(1000.0):
        await ears.over.wait()
    return ears


# What is sent.


def test_a_call_says_that_it_would_come_back_and_each_has_a_name_of_its_own() -> None:
    async def test() -> None:
        async with serve(play(whole())) as upstream:
            backend = Client({"plain": Plain()}, random=Random(7))
            for _ in range(3):
                assert (await asked(upstream, backend)).text == SAID
            names = [request.headers["idempotency-key"] for request in upstream.requests]
            assert len(set(names)) == 3
            assert {len(bytes.fromhex(name)) for name in names} == {16}
            assert {request.headers["x-riverrun-on-disconnect"] for request in upstream.requests} == {"grace"}
            assert upstream.connections == 1
            backend.close()
            again = Client({"plain": Plain()}, random=Random(7))
            await asked(upstream, again)
            assert upstream.requests[-1].headers["idempotency-key"] == names[0]
            again.close()

    run(test())


def test_others_are_not_told_of_it_and_a_cut_of_theirs_is_a_cut() -> None:
    async def test() -> None:
        async with serve(upstream=cut_once(BEGUN)) as upstream:
            ears, _ = ask(client(), target(upstream.base_url))
            assert (await ears.failure()).cause is Cause.UPSTREAM_INTERRUPTED
            (request,) = upstream.requests
            assert not {"idempotency-key", "x-riverrun-on-disconnect"} & request.headers.keys()

    run(test())


def test_the_rest_is_asked_for_under_our_own_address_and_with_our_own_key() -> None:
    async def test() -> None:
        async with serve(upstream=cut_once(BEGUN)) as upstream:
            ears, _ = ask(client(), to(upstream, key="secret-of-ours"))
            assert await ears.ending() == Finished()
            first, rest = upstream.requests
            assert rest.line == REST + " HTTP/1.1"
            assert rest.connection != first.connection
            assert rest.body == b""
            assert dict(rest.headers) == {
                "host": first.headers["host"],
                "user-agent": first.headers["user-agent"],
                "accept": "text/event-stream",
                "accept-encoding": "identity",
                "last-event-id": "2",
                "authorization": "Bearer secret-of-ours",
            }

    run(test())


# Cuts.


@both_loops
@pytest.mark.parametrize("end", ["reset", "clean"])
def test_a_cut_at_every_byte_loses_nothing_and_is_paid_once(loop: str, end: How) -> None:
    cuts: dict[str, int] = {}

    def choose(request: Request) -> Play:
        if not request.line.startswith("POST"):
            return play(head() + chunk(frames(after(request))) + LAST_CHUNK)
        key = request.headers["idempotency-key"]
        if key in cuts:  # it joins
            return play(whole())
        cuts[key] = len(cuts)
        return play(whole()[: cuts[key]], end=end)

    async def test() -> None:
        upstream = Choosing(choose)
        async with serve(upstream=upstream):
            backend = client()
            every = await asyncio.gather(*(asked(upstream, backend) for _ in range(len(whole()))))
            assert [ears.endings for ears in every] == [[Finished()]] * len(whole())
            assert {ears.text for ears in every} == {SAID}
            posts = Counter(each.headers["idempotency-key"] for each in upstream.requests if each.line[0] == "P")
            in_the_head = [key for key, cut in cuts.items() if cut < len(located())]
            assert len(posts) == len(whole())
            assert {key for key, count in posts.items() if count > 1} <= set(in_the_head)
            assert max(posts.values()) == 2
            backend.close()

    run(test(), loop)


def test_an_answer_that_ends_where_its_connection_does_is_no_end() -> None:
    async def test() -> None:
        for part in (b"", frames()[:20], frames()[: -len(frame(5, b"[END]"))]):
            bare = head(framing="", more=f"location: {PLACE}chatcmpl-1")
            async with serve(upstream=cut_once(bare + part, end="clean")) as upstream:
                ears = await asked(upstream)
                assert (ears.text, ears.endings) == (SAID, [Finished()])
                assert len(upstream.requests) == 2

    memory_net.run(test())


def test_cut_after_cut_it_gets_on() -> None:
    def choose(request: Request) -> Play:
        if request.line.startswith("POST"):
            return play(located() + chunk(frames()[:30]), end="reset")
        seen = after(request)
        return play(head() + chunk(frame(seen + 1, WORDS[seen])), end="reset")

    async def main() -> float:
        async with serve(upstream=Choosing(choose)) as upstream:
            ears = await asked(upstream)
            assert (ears.text, ears.endings) == (SAID, [Finished()])
            assert [each.headers.get("last-event-id") for each in upstream.requests] == [None, "1", "2", "3", "4"]
            return asyncio.get_running_loop().time() - 1000.0

    assert memory_net.run(main()) == pytest.approx(4 * 0.1)


def test_what_was_read_before_is_dropped() -> None:
    async def test() -> None:
        rest = play(head() + chunk(frames(0)) + LAST_CHUNK)
        async with serve(upstream=cut_once(BEGUN, rest=rest)) as upstream:
            assert (await asked(upstream)).text == SAID
        doubled = frame(1, WORDS[0]) + frame(1, WORDS[0]) + frames(1)
        async with serve(play(located() + chunk(doubled) + LAST_CHUNK)) as other:
            assert (await asked(other)).text == SAID

    memory_net.run(test())


@pytest.mark.parametrize(
    "wrong",
    [
        frames(3),
        frame(4, b"x"),
        b"id: three\ndata: x\n\n",
        b"id: -3\ndata: x\n\n",
        b"id: 99999999999999999999\ndata: x\n\n",
        sse(b"x"),
    ],
    ids=["missing", "skipped", "a word", "negative", "huge", "none"],
)
@pytest.mark.parametrize("when", ["at once", "after the cut"])
def test_an_event_that_is_not_the_next_one_is_malformed(wrong: bytes, when: str) -> None:
    async def test() -> None:
        two = frame(1, WORDS[0]) + frame(2, WORDS[1])
        if when == "at once":
            upstream = cut_once(located() + chunk(two + wrong), end="stall")
        else:
            upstream = cut_once(located() + chunk(two), rest=play(head() + chunk(wrong), end="stall"))
        async with serve(upstream=upstream):
            ears = await asked(upstream)
            assert (await ears.failure()).cause is Cause.UPSTREAM_MALFORMED
            assert ears.text == "Hello wor"
            await upstream.gone(1)

    memory_net.run(test())


# Who is no riverrun.


@pytest.mark.parametrize(
    "location",
    [
        "http://evil.example/v1/chat/completions/chatcmpl-1",
        "//evil.example/v1/chat/completions/chatcmpl-1",
        "/v1/chat/completions/../../admin",
        "/v1/chat/completions/..",
        "/v1/chat/completions/a/b",
        "/v1/chat/completions/%2e%2e",
        "/v1/chat/completions/",
        "/v1/chat/completions/a?x=1",
        "/v1/chat/completions/a#b",
        "/v1/chat/completions/a b",
        "/v1/chat/completions/a\tb",
        "/v1/chat/completions/" + "a" * 129,
        "/v1/chat/completions/" + "a" * 60_000,
        "/v1/chat/completions/a, /v1/chat/completions/b",
        "/v1/chat/completions/\u00e9",
        "/v1/completions/a",
        "chatcmpl-1",
        "",
    ],
)
def test_a_hostile_location_is_never_followed(location: str) -> None:
    async def test() -> None:
        bare = head().removesuffix(b"\r\n") + b"location: " + location.encode("latin-1") + b"\r\n\r\n"
        async with serve(upstream=cut_once(bare + chunk(frames()[:40]))) as upstream:
            ears = await asked(upstream)
            assert (await ears.failure()).cause is Cause.UPSTREAM_INTERRUPTED
            assert len(upstream.requests) == 1

    run(test())


@pytest.mark.parametrize("breaking", [b"a\r\nx-evil: 1", b"a\nx-evil: 1", b"a\rx-evil: 1", b"a\0b"])
def test_a_line_break_in_a_location_comes_into_no_request(breaking: bytes) -> None:
    """A CRLF ends the header, so that what is followed is what stands before it; anything else is no header."""

    async def test() -> None:
        bare = head().removesuffix(b"\r\n") + b"location: " + PLACE.encode() + breaking + b"\r\n\r\n"
        async with serve(upstream=cut_once(bare + chunk(frames()[:40]))) as upstream:
            ears = await asked(upstream)
            assert len(ears.endings) == 1
            assert all("x-evil" not in request.headers for request in upstream.requests)
            assert {request.line for request in upstream.requests[1:]} <= {f"GET {PLACE}a HTTP/1.1"}

    run(test())


@pytest.mark.parametrize("numbers", ["none", "from 0", "words"])
def test_a_stream_that_is_not_numbered_as_ours_is_read_as_it_comes(numbers: str) -> None:
    named = {"none": sse(*WORDS[:3]), "from 0": b"", "words": b""}
    for number, word in enumerate(WORDS[:3]):
        named["from 0"] += frame(number, word)
        named["words"] += b"id: event-%d\ndata: %b\n\n" % (number, word)

    async def test() -> None:
        async with serve(upstream=cut_once(located() + chunk(named[numbers]))) as upstream:
            ears = await asked(upstream)
            assert (await ears.failure()).cause is Cause.UPSTREAM_INTERRUPTED
            assert ears.text == "Hello worłd"
            assert len(upstream.requests) == 1
        async with serve(play(located() + chunk(named[numbers] + sse(*WORDS[3:])) + LAST_CHUNK)) as other:
            assert (await asked(other)).text == SAID

    run(test())


def test_an_answer_that_comes_whole_and_a_refusal_are_as_ever() -> None:
    async def test() -> None:
        place = f"location: {PLACE}chatcmpl-1"
        body = whole_body(b'"Hello"', more=place)
        async with serve(
            play(body), play(body[:-3], end="reset"), play(whole_body(b"no", "400 Bad", more=place))
        ) as it:
            assert (await asked(it)).pushes == [[Text(0, b'"Hello"'), Finish(0, "stop")]]
            assert (await (await asked(it)).failure()).cause is Cause.UPSTREAM_INTERRUPTED
            assert (await (await asked(it)).failure()).message == "no"
            assert len(it.requests) == 3

    run(test())


# Errors in the stream.


def test_an_error_with_a_number_is_the_upstreams_own_ending() -> None:
    async def test() -> None:
        async with serve(upstream=cut_once(located() + chunk(frame(1, WORDS[0]) + frame(2, b"!")))) as upstream:
            ears = await asked(upstream)
            assert (await ears.failure()).message == "told in the stream"
            assert len(upstream.requests) == 1

    run(test())


@pytest.mark.parametrize("seen", [0, 2])
def test_an_error_without_a_number_means_come_back(seen: int) -> None:
    async def test() -> None:
        begun = b"".join(frame(number, word) for number, word in enumerate(WORDS[:seen], 1))
        words = (*WORDS[:3], b"[END]")

        def choose(request: Request) -> Play:
            if request.line.startswith("POST"):
                return play(located() + chunk(begun + sse(b"!")), end="stall")
            return play(head() + chunk(frames(after(request), words)) + LAST_CHUNK)

        async with serve(upstream=Choosing(choose)) as upstream:
            ears = await asked(upstream)
            assert (ears.text, ears.endings) == ("Hello worłd", [Finished()])
            assert upstream.requests[1].headers["last-event-id"] == str(seen)
            await upstream.gone(1)  # the first connection is left at once

    memory_net.run(test())


# What ends it.


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 204 No Content\r\n\r\n",
        whole_body(b"{}", "404 Not Found"),
        whole_body(b"{}", "410 Gone"),
        whole_body(b"{}", "500 Oops"),
        whole_body(b'"Hello"'),
        whole_body(b"", "302 Found", more="location: http://evil.example/"),
        b"SSH-2.0-OpenSSH\r\n\r\n",
        head(more="content-encoding: gzip") + chunk(b"x"),
    ],
    ids=["204", "404", "410", "500", "JSON", "redirect", "no HTTP", "gzip"],
)
def test_where_the_rest_is_not_to_be_had_the_first_failure_stands(answer: bytes) -> None:
    async def test() -> None:
        async with serve(upstream=cut_once(BEGUN, rest=play(answer))) as upstream:
            ears = await asked(upstream)
            failure = await ears.failure()
            assert failure.cause is Cause.UPSTREAM_INTERRUPTED
            assert "before the end" in failure.message
            assert ears.text == "Hello wor"
            assert len(upstream.requests) == 2

    run(test())


def test_an_answer_whose_every_word_came_is_whole_where_only_its_ending_can_not_be_had() -> None:
    async def test() -> None:
        bare = head(framing="", more=f"location: {PLACE}chatcmpl-1")
        async with serve(
            upstream=cut_once(bare + frames(0, (b"Hello", b"...")), end="clean", rest=play(whole_body(b"", "404 No")))
        ) as upstream:
            ears = await asked(upstream)
            assert (ears.text, ears.endings) == ("Hello", [Finished()])
            assert ears.pushes[-1] == [Finish(0, "stop")]

    memory_net.run(test())


def test_a_post_that_breaks_before_its_answer_is_repeated_once() -> None:
    async def test() -> None:
        for begun in (b"", b"HTTP/1.1 20", located()[:-1]):
            async with serve(play(begun, end="reset")) as upstream:
                ears = await asked(upstream)
                assert (await ears.failure()).cause is Cause.UPSTREAM_INTERRUPTED
                first, second = upstream.requests
                assert (first.headers, first.body) == (second.headers, second.body)

    run(test())


# Time.


def test_the_pauses_grow_and_patience_ends() -> None:
    times: list[float] = []

    def choose(request: Request) -> Play:
        times.append(asyncio.get_running_loop().time() - 1000.0)
        return play(BEGUN, end="reset") if request.line.startswith("POST") else play(end="clean")

    async def main() -> float:
        async with serve(upstream=Choosing(choose)) as upstream:
            ears = await asked(upstream)
            assert "before the end" in (await ears.failure()).message
            return asyncio.get_running_loop().time() - 1000.0

    assert memory_net.run(main()) == pytest.approx(30.0)
    pauses = [later - sooner for sooner, later in pairwise(times)]
    assert pauses[:6] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 2.0])
    assert pauses[6:] == pytest.approx([2.0] * len(pauses[6:]))
    assert len(times) == 19


def test_a_server_that_is_away_for_a_while_is_come_back_to() -> None:
    async def main() -> None:
        async with serve(upstream=cut_once(BEGUN)) as upstream:
            ears, _ = ask(client(), to(upstream))
            await ears.first()
            port = upstream.port
        again = cut_once()
        await asyncio.sleep(20.0)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Connection(again), "127.0.0.1", port)
        assert await ears.ending() == Finished()
        assert ears.text == SAID
        assert again.lines == [REST]
        server.close()

    memory_net.run(main())


def test_a_stalled_return_ends_with_patience_or_with_the_runs_own_deadline() -> None:
    async def stalled(idle: float | None) -> float:
        async with serve(upstream=cut_once(BEGUN, rest=play(end="stall"))) as upstream:
            calls: list[Call] = []
            ears, call = ask(client(), to(upstream))
            calls.append(call)
            watch = Watch(Deadlines(idle=idle, total=None), lambda failure: call.cancel())
            watch.start()
            ears.on_push = watch.heard
            await over(ears)
            assert isinstance(ears.endings[0], Cancelled) is (idle is not None)
            watch.stop()
            await upstream.gone(1)
            return asyncio.get_running_loop().time() - 1000.0

    assert memory_net.run(stalled(None)) == pytest.approx(30.0)
    assert memory_net.run(stalled(15.0)) == pytest.approx(15.0)


def test_a_stream_that_is_back_may_be_silent_for_longer_than_patience() -> None:
    async def main() -> float:
        rest = play(head(), 300.0, chunk(frames(2)) + LAST_CHUNK)
        async with serve(upstream=cut_once(BEGUN, rest=rest)) as upstream:
            assert (await asked(upstream)).text == SAID
            return asyncio.get_running_loop().time() - 1000.0

    assert memory_net.run(main()) == pytest.approx(300.1)


def test_connections_that_bring_nothing_use_patience_up() -> None:
    async def main() -> float:
        async with serve(upstream=cut_once(BEGUN, rest=play(head() + chunk(b": hb\n"), end="reset"))) as upstream:
            ears = await asked(upstream)
            assert (await ears.failure()).cause is Cause.UPSTREAM_INTERRUPTED
            return asyncio.get_running_loop().time() - 1000.0

    assert memory_net.run(main()) == pytest.approx(30.0)


# Leaving.


@pytest.mark.parametrize("moment", ["in the pause", "while connecting", "while it waits", "when it is back"])
@both_loops
def test_cancelling_while_it_comes_back_closes_everything(loop: str, moment: str) -> None:
    async def test() -> None:
        rest = play(head() + chunk(frames(2)[:25]), end="stall") if moment == "when it is back" else play(end="stall")
        async with serve(upstream=cut_once(BEGUN, rest=rest)) as upstream:
            backend = client()
            ears, call = ask(backend, to(upstream))
            await ears.first()
            if moment == "while connecting":
                await upstream.connected(2)
            elif moment != "in the pause":
                await upstream.asked(2)
            call.cancel()
            call.cancel()
            assert ears.endings == [Cancelled()]
            if moment in ("while it waits", "when it is back"):
                await upstream.gone(1)
            backend.close()

    run(test(), loop)


@both_loops
def test_a_call_that_is_cancelled_says_that_nobody_comes_back(loop: str) -> None:
    async def test() -> None:
        gone = whole_body(b"{}", "404 Not Found")
        async with serve(play(BEGUN, end="stall"), play(gone), play(gone)) as upstream:
            backend = client()
            ears, call = ask(backend, to(upstream, key="secret-of-ours"))
            await ears.first()
            call.cancel()
            call.cancel()
            assert ears.endings == [Cancelled()]
            await upstream.asked(2)
            farewell = upstream.requests[1]
            assert farewell.line == "POST /v1/chat/completions/chatcmpl-1/cancel HTTP/1.1"
            assert farewell.headers["authorization"] == "Bearer secret-of-ours"
            assert farewell.body == b""
            await upstream.gone(1)
            backend.close()

    run(test(), loop)


@pytest.mark.parametrize("answer", [whole(), located("a/b") + chunk(frames()[:40]), located() + chunk(sse(b"Hello"))])
def test_where_nothing_would_go_on_there_is_no_farewell(answer: bytes) -> None:
    async def main() -> None:
        async with serve(play(answer, end="stall")) as upstream:
            ears, call = ask(client(), to(upstream))
            await ears.first()
            call.cancel()
            await asyncio.sleep(60)
            assert len(upstream.requests) == 1

    memory_net.run(main())


@pytest.mark.parametrize("answer", [play(end="stall"), play(b"junk", end="clean"), play(end="reset")])
def test_a_farewell_that_is_not_heard_troubles_nobody(answer: Play) -> None:
    async def main() -> None:
        async with serve(play(BEGUN, end="stall"), answer) as upstream:
            ears, call = ask(client(), to(upstream))
            await ears.first()
            call.cancel()
            await asyncio.sleep(60)
            assert len(upstream.requests) == 2
            assert len(asyncio.all_tasks()) == 1

    memory_net.run(main())


def test_closing_the_client_ends_calls_that_come_back() -> None:
    async def test() -> None:
        async with serve(upstream=cut_once(BEGUN, rest=play(end="stall"))) as upstream:
            backend = client()
            waiting, _ = ask(backend, to(upstream))
            await upstream.asked(2)
            pausing, _ = ask(backend, to(upstream))
            await pausing.first()
            backend.close()
            for ears in (waiting, pausing):
                assert (await ears.failure()).cause is Cause.UPSTREAM_INTERRUPTED

    run(test())


def test_cancelling_from_within_the_push_before_a_return() -> None:
    async def test() -> None:
        async with serve(upstream=cut_once(located() + chunk(frame(1, b"Hello") + sse(b"!")), end="stall")) as upstream:
            backend, ears, calls = client(), Ears(), list[Call]()
            ears.on_push = lambda: calls[0].cancel()
            calls.append(backend.start(ASK, to(upstream), ears, lambda target, dropped: None))
            assert await ears.ending() == Cancelled()
            await upstream.gone(1)
            assert [each.line for each in upstream.requests if "/cancel" not in each.line] == ["POST /v1/say HTTP/1.1"]
            backend.close()

    run(test())


# The real language.


@both_loops
def test_the_openai_dialect_is_mended_to_its_last_chunk(loop: str) -> None:
    said: list[dict[str, object]] = [{"role": "assistant", "content": ""}, {"content": "Hel"}, {"content": "lo"}]
    same: dict[str, object] = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "theirs"}
    chunks = [{**same, "choices": [{"index": 0, "delta": each, "finish_reason": None}]} for each in said]
    chunks.append({**same, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    chunks.append({**same, "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}})
    words = (*(msgspec.json.encode(each) for each in chunks), b"[DONE]")

    def choose(request: Request) -> Play:
        if not request.line.startswith("POST"):
            return play(head() + chunk(frames(after(request), words)) + LAST_CHUNK)
        cut = int(msgspec.json.decode(request.body)["seed"])
        return play(located() + chunk(frames(0, words)[:cut]), end="reset")

    async def one(backend: Client, upstream: Upstream, cut: int) -> Ears:
        chat = msgspec.structs.replace(ASK.chat, body={**ASK.chat.body, "seed": cut})
        ears = Ears()
        there = msgspec.structs.replace(to(upstream), dialect="openai", row="compatible")
        backend.start(msgspec.structs.replace(ASK, chat=chat), there, ears, lambda target, dropped: None)
        await ears.ending()
        return ears

    async def test() -> None:
        async with serve(upstream=Choosing(choose)) as upstream:
            backend = Client({"openai": OpenAI()})
            every = await asyncio.gather(*(one(backend, upstream, cut) for cut in range(0, len(frames(0, words)), 7)))
            kinds = ["Open", "Text", "Text", "Finish", "Usage"]
            for ears in every:
                assert ears.endings == [Finished()]
                assert [type(delta).__name__ for push in ears.pushes for delta in push] == kinds
            backend.close()

    run(test(), loop)
