"""Coming back to an answer by its address, from any event on, while it runs and after; never to somebody else's."""

import asyncio
import json
import math
from collections.abc import Coroutine

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riverrun.backends.scripted import End, Fail, Say, Script, Wait, steps, text
from riverrun.config import ServerConfig
from riverrun.failures import Cause, Failure
from riverrun.routing.target import Deadlines
from riverrun.runs.intent import Habits
from riverrun.server.app import App
from riverrun.stream.deltas import Finish, Open, Text
from riverrun.stream.flow import Cancelled, Finished
from riverrun.tapes.memory import MemoryTapes
from riverrun.tapes.retention import Retention
from riverrun.tapes.room import Room
from riverrun.wire.sse import HEARTBEAT
from tests import virtual
from tests.runs.scenes import Scene
from tests.server.calls import Call, ask, get
from tests.server.served import Wire, run, wire
from tests.server.test_app import application, read, request, served
from tests.server.test_app import ask as fetch
from tests.server.test_app import chat as posted

HI = Say((Text(0, b'"Hi"'),))
STOP = Say((Finish(0, "stop"),))
STREAM: dict[str, object] = {"stream": True}
EVENTS = {"accept": "text/event-stream"}
SILENT = Deadlines(None, None, None, None)
FAILED = Fail(Failure(Cause.UPSTREAM_INTERRUPTED, "cut"))


def play(main: Coroutine[object, object, None]) -> None:
    virtual.run(main)


async def whole(app: App, **headers: str) -> Call:
    """A stream that was read to its end."""
    return await ask(app, STREAM, **headers).done()


def after(body: bytes, number: int) -> bytes:
    """The events behind this one."""
    events = body.split(b"\n\n")[:-1]
    return b"".join(event + b"\n\n" for event in events[number:])


def test_a_stream_says_where_it_can_be_had_again() -> None:
    async def main() -> None:
        app = application(Scene(text("one two three")))
        first = await whole(app)
        assert first.headers["location"] == f"/v1/chat/completions/{first.headers['x-request-id']}"
        for path, headers in ((first.headers["location"], EVENTS), (first.headers["location"] + "?stream=true", {})):
            again = await get(app, path, **headers).done()
            assert (again.status, again.clean, again.body) == (200, True, first.body)
            assert again.headers["content-type"].startswith("text/event-stream")
            assert again.headers["x-request-id"] == first.headers["x-request-id"]
            assert again.headers["x-riverrun-target"] == "tiny"
        plain = await get(app, first.headers["location"]).done()
        assert plain.json["object"] == "chat.completion"
        refused = await get(app, first.headers["location"] + "?stream=false", **EVENTS).done()
        assert refused.body == plain.body

    play(main())


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("", {"last_event_id": "2"}, 200),
        ("?starting_after=2", {}, 200),
        ("?starting_after=2", {"last_event_id": "2"}, 200),
        ("?starting_after=2", {"last_event_id": "3"}, 400),
        ("?starting_after=x", {}, 400),
        ("?starting_after=-1", {}, 400),
        ("", {"last_event_id": "9" * 40}, 400),
        ("", {"last_event_id": "7"}, 400),
        ("", {"last_event_id": "6"}, 204),
    ],
)
def test_cursors(query: str, headers: dict[str, str], status: int) -> None:
    async def main() -> None:
        app = application(Scene(text("one two three")))
        first = await whole(app)
        assert first.numbers == [1, 2, 3, 4, 5, 6]
        answer = await get(app, first.headers["location"] + query, **EVENTS, **headers).done()
        assert answer.status == status
        assert answer.clean
        if status == 200:
            assert answer.body == after(first.body, 2)
        elif status == 204:
            assert answer.body == b""

    play(main())


def test_at_the_end_of_a_running_stream_a_reader_waits() -> None:
    async def main() -> None:
        app = application(Scene(text("one two three", pace=4.0)))
        first = ask(app, STREAM)
        await first.until(lambda call: call.numbers == [1, 2])
        last = get(app, first.headers["location"] + "?starting_after=2", **EVENTS)
        early = await get(app, first.headers["location"] + "?starting_after=3", **EVENTS).done()
        assert (early.status, early.code) == (400, None)
        await asyncio.gather(last.done(), first.done())
        assert last.body == after(first.body, 2)

    play(main())


def test_who_does_not_stream_waits_for_the_whole() -> None:
    async def main() -> None:
        app = application(scene_of(text("one two three", pace=20.0), ServerConfig()))
        first = ask(app, STREAM)
        await first.until(lambda call: bool(call.numbers))
        waiting = get(app, first.headers["location"])
        await asyncio.gather(waiting.done(), first.done())
        late = await get(app, first.headers["location"]).done()
        assert waiting.json == late.json
        assert late.json["usage"] == {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4}
        choices = late.json["choices"]
        assert isinstance(choices, list)
        assert choices[0]["message"]["content"] == "one two three"

    play(main())


def test_head() -> None:
    async def main() -> None:
        scene = Scene(steps(HI, Wait(math.inf)))
        async with served(scene) as address, wire(address) as first, wire(address) as line:
            first.send(posted(stream=True))
            where = await _location(first)
            for path, accept, status in ((where, "text/event-stream", 200), (where + "x", "*/*", 404)):
                line.send(request("HEAD", path, accept=accept))
                head = await line.until(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 %d " % status)
                assert (b"text/event-stream" in head) == (status == 200)
            line.send(request("GET", "/v1/models"))
            assert (await read(line)).status == 200

    run(main())


async def _location(line: Wire) -> str:
    head = await line.until(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    return next(each.partition(": ")[2] for each in lines if each.startswith("location"))


def test_a_failed_stream_is_replayed_with_its_error() -> None:
    async def main() -> None:
        app = application(Scene(steps(HI, Wait(1.0), FAILED)))
        first = await whole(app)
        assert first.clean is False
        again = await get(app, first.headers["location"], **EVENTS).done()
        assert (again.status, again.clean, again.body) == (200, False, first.body)
        tail = await get(app, first.headers["location"], **EVENTS, last_event_id="2").done()
        assert (tail.status, tail.clean, tail.body) == (200, False, after(first.body, 2))
        plain = await get(app, first.headers["location"]).done()
        assert (plain.status, plain.code) == (502, "upstream_interrupted")

    play(main())


@pytest.mark.parametrize("headers", [{}, EVENTS], ids=["whole", "stream"])
def test_a_stream_that_failed_before_content_has_its_true_status(headers: dict[str, str]) -> None:
    async def main() -> None:
        scene = Scene(steps(Wait(20.0), Fail(Failure(Cause.UPSTREAM_BUSY, "busy", retry_after=3.0))))
        app = application(scene)
        first = await whole(app)
        assert (first.status, first.clean) == (200, False)  # it was held
        assert first.numbers == [1]
        again = await get(app, first.headers["location"], **headers).done()
        assert (again.status, again.code) == (429, "rate_limit_exceeded")

    play(main())


def test_cut_at_every_byte_and_resumed() -> None:
    """X1: over TCP, with the chunked framing in the way, and nothing lost or doubled."""

    async def main() -> None:
        async with served(Scene(text("one two"))) as address:
            line = posted(stream=True)
            async with wire(address) as first:
                first.send(line)
                full = await read(first)
            path = full.headers["location"]
            again = request("GET", path, accept="text/event-stream", connection="close")
            async with wire(address) as whole:
                whole.send(again)
                size = len(await whole.rest())
            for offset in range(size + 1):
                async with wire(address) as cut:
                    cut.send(again)
                    async with asyncio.timeout(10):
                        raw = await cut.reader.readexactly(offset)
                    cut.writer.transport.abort()
                had = _whole_events(raw)
                last = str(had.count(b"\nid: ") + had.startswith(b"id: "))
                rest = await fetch(address, request("GET", path, accept="text/event-stream", last_event_id=last))
                assert had + rest.body == full.body
                assert rest.status == (204 if had == full.body else 200)

    run(main())


def _whole_events(raw: bytes) -> bytes:
    """The events that came whole in the first bytes of a response."""
    _, _, rest = raw.partition(b"\r\n\r\n")
    body = b""
    while b"\r\n" in rest:
        size, _, rest = rest.partition(b"\r\n")
        body += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]
    return body[: body.rfind(b"\n\n") + 2] if b"\n\n" in body else b""


def test_cut_after_every_event_while_it_runs_with_heartbeats_between() -> None:
    async def main() -> None:
        scene = scene_of(text("one two three four", pace=25.0), ServerConfig())
        app = application(scene)
        first = ask(app, STREAM, x_riverrun_on_disconnect="grace")
        await first.until(lambda call: bool(call.numbers))
        pieces = [first]
        while pieces[-1].clean is None:
            reader = pieces[-1]
            await reader.until(lambda call: call.clean is not None or (bool(call.numbers) and HEARTBEAT in call.body))
            if reader.clean is None:
                await reader.hang_up()
                last = str(sum(len(each.numbers) for each in pieces))
                pieces.append(get(app, first.headers["location"], **EVENTS, last_event_id=last))
        assert len(pieces) > 3
        everything = b"".join(piece.stream for piece in pieces)
        again = await get(app, first.headers["location"], **EVENTS).done()
        assert everything == again.body
        assert len(scene.asks) == 1

    play(main())


@pytest.mark.parametrize("moment", ["before the first token", "at the first frame", "before [DONE]"])
def test_dropped_at_the_worst_moments(moment: str) -> None:
    """X2."""
    long = {"before the first token": 0, "at the first frame": 1, "before [DONE]": 5}[moment]

    async def main() -> None:
        scene = Scene(text("one two three", pace=2.0))
        app = application(scene)
        first = ask(app, STREAM, idempotency_key="k")
        if long:
            await first.until(lambda call: len(call.numbers) >= min(long, 4))
        else:
            await asyncio.sleep(0.5)
        await first.hang_up()
        await asyncio.sleep(3.0)
        headers = {"last_event_id": str(len(first.numbers))} if first.numbers else {}
        again = await ask(app, STREAM, idempotency_key="k", **headers).done()
        assert again.clean
        complete = first.stream + again.stream
        replay = await ask(app, STREAM, idempotency_key="k").done()
        assert complete == replay.body
        assert replay.events[-1] == b"[DONE]"
        plain = await ask(app, idempotency_key="k").done()
        assert plain.headers["x-request-id"] == replay.headers["x-request-id"]
        assert len(scene.asks) == 1

    play(main())


def test_twenty_readers_come_and_go() -> None:
    """X3."""

    async def main() -> None:
        scene = Scene(text(" ".join(map(str, range(40))), pace=3.0))
        app = application(scene)
        first = ask(app, STREAM, x_riverrun_on_disconnect="grace")
        await first.until(lambda call: bool(call.numbers))
        path = first.headers["location"]

        async def reader(number: int) -> bytes:
            body = b""
            pause = 1.0 + number / 3
            while True:
                await asyncio.sleep(pause)
                count = body.count(b"id: ")
                call = get(app, path + f"?starting_after={count}", **EVENTS)
                await call.until(lambda call: call.clean is not None or len(call.numbers) > number % 7)
                if call.clean is None:
                    await call.hang_up()
                body += call.stream[: call.stream.rfind(b"\n\n") + 2]
                if call.clean is not None:
                    return body

        bodies = await asyncio.gather(*(reader(number) for number in range(20)))
        await first.done()
        assert set(bodies) == {first.stream}
        assert len(scene.asks) == 1

    play(main())


# Who goes, and what becomes of the answer

GONE = [
    ({}, ServerConfig(), 0.0),
    ({"idempotency_key": "k"}, ServerConfig(), 30.0),
    ({"x_riverrun_on_disconnect": "grace"}, ServerConfig(grace=5.0), 5.0),
    ({"x_riverrun_on_disconnect": "cancel", "idempotency_key": "k"}, ServerConfig(), 0.0),
    ({}, ServerConfig(on_disconnect="grace"), 30.0),
    ({"x_riverrun_on_disconnect": "cancel"}, ServerConfig(on_disconnect="finish"), 0.0),
    ({"x_riverrun_on_disconnect": "finish"}, ServerConfig(), None),
    ({}, ServerConfig(on_disconnect="finish"), None),
    ({"idempotency_key": "k"}, ServerConfig(on_disconnect="finish"), None),
]


def scene_of(script: Script, config: ServerConfig) -> Scene:
    """A server's habits, and upstreams that may be silent."""
    habits = Habits(config.on_disconnect, config.grace, config.join_retries)
    return Scene(script, habits=habits, deadlines=SILENT)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("spoken", [True, False])
@pytest.mark.parametrize(("headers", "config", "grace"), GONE)
def test_when_the_last_reader_has_left(
    headers: dict[str, str], config: ServerConfig, grace: float | None, spoken: bool, stream: bool
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        scene = scene_of(steps(*([HI] if spoken else []), Wait(100.0), HI, STOP, End()), config)
        began = loop.time()
        call = ask(application(scene, config=config), {"stream": stream}, **headers)
        await asyncio.sleep(1.0)
        assert scene.runs.running == 1
        await call.hang_up()
        await scene.runs.idle()
        assert loop.time() == pytest.approx(began + (100.0 if grace is None else 1.0 + grace))
        assert scene.outcomes[0].ending == (Finished() if grace is None else Cancelled())

    play(main())


@pytest.mark.parametrize("stored", [True, False])
def test_a_returning_reader_stops_the_grace_and_its_leaving_begins_it_anew(stored: bool) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        scene = scene_of(steps(HI, Wait(1000.0), STOP, End()), ServerConfig())
        app = application(scene)
        began = loop.time()
        headers = {} if stored else {"idempotency_key": "k"}
        first = ask(app, {**STREAM, "store": stored}, **headers)
        await first.until(lambda call: bool(call.numbers))
        await first.hang_up()
        await asyncio.sleep(20.0)
        back = get(app, first.headers["location"], **(EVENTS if stored else {}))
        await asyncio.sleep(200.0)
        assert scene.runs.running == 1
        await back.hang_up()
        await scene.runs.idle()
        assert loop.time() == pytest.approx(began + 250.0)
        assert scene.outcomes[0].ending == Cancelled()

    play(main())


@pytest.mark.parametrize("headers", [{"x_riverrun_on_disconnect": "stay"}, {"idempotency_key": ""}])
def test_headers_that_mean_nothing_are_refused(headers: dict[str, str]) -> None:
    async def main() -> None:
        scene = Scene(text("a"))
        answer = await ask(application(scene), **headers).done()
        assert answer.status == 400
        assert scene.asks == []

    play(main())


# An end on purpose


@pytest.mark.parametrize("spoken", [True, False])
def test_cancel(spoken: bool) -> None:
    async def main() -> None:
        script = steps(*([HI] if spoken else []), Wait(1000.0), STOP, End())
        scene = scene_of(script, ServerConfig())
        app = application(scene)
        stream = ask(app, STREAM, idempotency_key="k")
        plain = ask(app, idempotency_key="k")
        await asyncio.sleep(11.0)
        cancelled = await Call(app, "POST", stream.headers["location"] + "/cancel").done()
        id = stream.headers["x-request-id"]
        assert cancelled.json == {"id": id, "object": "chat.completion.cancelled", "status": "cancelled"}
        await asyncio.gather(stream.done(), plain.done())
        assert stream.clean is False
        assert b"[DONE]" not in stream.body
        assert (plain.status, plain.code, plain.headers["x-should-retry"]) == (502, "cancelled", "false")
        assert scene.outcomes[0].ending == Cancelled()
        again = await Call(app, "POST", stream.headers["location"] + "/cancel").done()
        assert again.json["status"] == "cancelled"
        ask(app, STREAM, idempotency_key="k")
        await asyncio.sleep(1.0)
        assert len(scene.asks) == (1 if spoken else 2)  # nothing was generated: the key is free
        scene.runs.interrupt()

    play(main())


@pytest.mark.parametrize(("script", "status"), [(text("a"), "completed"), (steps(HI, FAILED), "failed")])
def test_what_has_ended_cannot_be_cancelled(script: Script, status: str) -> None:
    async def main() -> None:
        app = application(Scene(script))
        first = await whole(app)
        answer = await Call(app, "POST", first.headers["location"] + "/cancel").done()
        assert (answer.status, answer.json["status"]) == (200, status)
        assert (await get(app, first.headers["location"], **EVENTS).done()).body == first.body

    play(main())


def test_delete_what_runs() -> None:
    async def main() -> None:
        scene = scene_of(steps(HI, Wait(1000.0), STOP, End()), ServerConfig())
        app = application(scene)
        stream, plain = ask(app, STREAM, idempotency_key="k"), ask(app, idempotency_key="k")
        await stream.until(lambda call: bool(call.numbers))
        path = stream.headers["location"]
        gone = await Call(app, "DELETE", path).done()
        assert gone.json == {"object": "chat.completion.deleted", "id": path.rpartition("/")[2], "deleted": True}
        await asyncio.gather(stream.done(), plain.done(), scene.runs.idle())
        assert stream.clean is False
        assert b'"deleted"' in stream.events[-1]
        assert stream.numbers == [1, 2]
        assert (plain.status, plain.code) == (404, "deleted")
        for method in ("GET", "DELETE"):
            assert (await Call(app, method, path).done()).status == 404
        ask(app, STREAM, idempotency_key="k")
        await asyncio.sleep(1.0)
        assert len(scene.asks) == 2
        scene.runs.interrupt()

    play(main())


def test_delete_what_has_ended() -> None:
    async def main() -> None:
        scene = Scene(text("a"))
        app = application(scene)
        first = await whole(app, idempotency_key="k")
        assert (await Call(app, "DELETE", first.headers["location"]).done()).status == 200
        assert (await get(app, first.headers["location"]).done()).status == 404
        again = await ask(app, {"n": 2}, idempotency_key="k").done()
        assert (again.status, "idempotent-replayed" in again.headers) == (200, False)
        assert len(scene.asks) == 2

    play(main())


def test_a_slow_reader_of_what_is_deleted_is_told() -> None:
    async def main() -> None:
        big = Say((Text(0, b'"' + b"x" * 300_000 + b'"'),))
        scene = Scene(steps(*[big] * 60, STOP, End()))
        async with served(scene) as address, wire(address) as slow:
            slow.reader._limit = 1024  # type: ignore[attr-defined]  # asyncio's own buffer would hide the slowness
            slow.send(posted(stream=True))
            path = await _location(slow)
            async with asyncio.timeout(10):
                await scene.runs.idle()
            assert (await fetch(address, request("DELETE", path))).status == 200
            told = await slow.rest()
            assert b'"deleted"' in told[-1000:]
            assert not told.endswith(b"0\r\n\r\n")

    run(main())


# Two tenants

ONE, TWO = "a-key-of-tenant-one", "a-key-of-tenant-two"


@pytest.mark.parametrize(
    ("method", "suffix", "body"),
    [
        ("GET", "", None),
        ("GET", "?stream=true", None),
        ("GET", "?stream=true&starting_after=1", None),
        ("HEAD", "", None),
        ("POST", "", {"metadata": {"a": "b"}}),
        ("POST", "", {"metadata": 3}),
        ("POST", "/cancel", None),
        ("GET", "/messages", None),
        ("GET", "/messages?limit=x", None),
        ("DELETE", "", None),
    ],
)
@pytest.mark.parametrize("running", [True, False])
def test_somebody_elses_answer_is_an_unknown_one(method: str, suffix: str, body: object, running: bool) -> None:
    """V8, SEC6: byte for byte, but for the ids."""

    async def main() -> None:
        scene = scene_of(steps(HI, Wait(1000.0 if running else 0.0), STOP, End()), ServerConfig())
        app = application(scene, keys=(ONE, TWO))
        first = ask(app, {**STREAM, "store": True}, authorization=f"Bearer {ONE}")
        await first.until(lambda call: bool(call.numbers) if running else call.clean is not None)
        path = first.headers["location"]
        unknown = path.rpartition("/")[0] + "/chatcmpl-" + "0" * 32
        answers = [
            await Call(app, method, each + suffix, body, authorization=f"Bearer {TWO}").done()
            for each in (path, unknown)
        ]
        seen = {
            (each.status, each.body.replace(each.headers["x-request-id"].encode(), b"").replace(id.encode(), b""))
            for each, id in zip(answers, (path.rpartition("/")[2], unknown.rpartition("/")[2]), strict=True)
        }
        assert len(seen) == 1
        assert answers[0].status == 404
        assert all(each.headers["x-request-id"].startswith("req_") for each in answers)
        plain = [dict(each.headers, **{"x-request-id": ""}) for each in answers]
        assert plain[0] == plain[1]
        assert scene.runs.running == int(running)
        mine = await get(app, path + "?stream=true", authorization=f"Bearer {ONE}").until(
            lambda call: bool(call.numbers)
        )
        assert mine.status == 200
        listed = await get(app, "/v1/chat/completions", authorization=f"Bearer {TWO}").done()
        assert listed.json["data"] == []
        scene.runs.interrupt()

    play(main())


# Keeping, and forgetting


def test_an_answer_expires_and_is_then_unknown() -> None:
    async def main() -> None:
        app = application(Scene(text("a")), keys=(ONE, TWO))
        mine, theirs = {"authorization": f"Bearer {ONE}"}, {"authorization": f"Bearer {TWO}"}
        first = await whole(app, **mine)
        path = first.headers["location"]
        await asyncio.sleep(599.0)
        assert (await get(app, path, **mine).done()).status == 200
        await asyncio.sleep(2.0)
        for method, suffix in (("GET", ""), ("GET", "?stream=true"), ("POST", "/cancel"), ("DELETE", "")):
            answer = await Call(app, method, path + suffix, **mine).done()
            assert (answer.status, answer.code) == (410, "expired")
            assert (await Call(app, method, path + suffix, **theirs).done()).status == 404
        await asyncio.sleep(24 * 3600.0)
        assert (await get(app, path, **mine).done()).status == 404

    play(main())


def test_a_stored_answer_is_kept_for_a_month_and_one_with_a_key_for_a_day() -> None:
    async def main() -> None:
        app = application(Scene(text("a")))
        stored = await ask(app, {"store": True}).done()
        keyed = await ask(app, idempotency_key="k").done()
        await asyncio.sleep(23 * 3600.0)
        assert (await ask(app, idempotency_key="k").done()).body == keyed.body
        await asyncio.sleep(2 * 3600.0)
        assert (await get(app, stored.headers["location"]).done()).status == 200
        late = await ask(app, idempotency_key="k").done()
        assert (late.status, late.code) == (410, "expired")
        await asyncio.sleep(24 * 3600.0)
        anew = await ask(app, idempotency_key="k").done()
        assert (anew.status, "idempotent-replayed" in anew.headers) == (200, False)

    play(main())


def long_answer(size: int) -> Script:
    return steps(*[Say((Text(0, b'"' + b"x" * 1000 + b'"'),)) for _ in range(size // 1000)], STOP, End())


def test_a_stream_that_outgrows_its_bound() -> None:
    async def main() -> None:
        tapes = MemoryTapes(Room(2**20, 2**20), Retention(), 20_000)
        app = application(Scene(long_answer(100_000), tapes=tapes))
        first = await whole(app)
        assert first.clean is False
        assert b"stream_too_large" in first.events[-1]
        assert len(first.body) < 24_000
        again = await get(app, first.headers["location"], **EVENTS).done()
        assert (again.clean, again.body) == (False, first.body)
        plain = await get(app, first.headers["location"]).done()
        assert (plain.status, plain.code, plain.headers["x-should-retry"]) == (503, "stream_too_large", "false")

    play(main())


def test_beyond_the_bound_in_memory_a_replay_comes_from_a_file() -> None:
    """V9, V3."""

    async def main() -> None:
        room = Room(50_000, 2**20)
        tapes = MemoryTapes(room, Retention())
        app = application(Scene(long_answer(100_000), tapes=tapes))
        streams = [await whole(app) for _ in range(3)]
        assert room.used <= 50_000
        assert room.spilled > 200_000
        for each in streams:
            again = await get(app, each.headers["location"], **EVENTS).done()
            assert again.body == each.body
            later = await get(app, each.headers["location"], **EVENTS, last_event_id="50").done()
            assert later.body == after(each.body, 50)
        await tapes.close()

    play(main())


def test_beyond_the_bound_on_disk_the_oldest_that_ended_go_and_then_it_is_full() -> None:
    async def main() -> None:
        endless = steps(*[Say((Text(0, b'"' + b"x" * 1000 + b'"'),))] * 40, Wait(1000.0), STOP, End())
        script = {"done": long_answer(40_000), "live": endless}
        tapes = MemoryTapes(Room(50_000, 150_000), Retention())
        scene = Scene(lambda ask: script[str(ask.chat.body["user"])](ask), tapes=tapes, deadlines=SILENT)
        app = application(scene)

        async def asked(user: str, number: int) -> Call:
            call = ask(app, {**STREAM, "user": user}, idempotency_key=f"{user}{number}")
            await asyncio.sleep(1.0)
            return call

        ended = [await asked("done", number) for number in range(4)]
        live = [await asked("live", 0)]
        while live[-1].status != 503:
            for call in live:
                assert (call.status, call.clean) == (200, None)  # what is live is never trimmed
            live.append(await asked("live", len(live)))
        assert 3 < len(live) < 8
        full = live.pop()
        assert (full.headers["retry-after"], full.headers["x-should-retry"]) == ("5", "true")
        for number, call in enumerate(ended):
            assert (await get(app, call.headers["location"]).done()).status == 410
            late = await asked("done", number)
            assert (late.status, late.code) == (410, "expired")
        again = await get(app, live[0].headers["location"], **EVENTS).until(lambda call: len(call.numbers) > 40)
        assert again.body == live[0].body
        scene.runs.interrupt()
        await asyncio.gather(*(call.done() for call in live))
        await tapes.close()

    play(main())


@given(st.text(st.characters(exclude_characters="/?", exclude_categories=["Cs"]), min_size=1, max_size=300))
@settings(max_examples=60, deadline=None)
def test_an_id_that_a_client_made_up_reaches_no_header(id: str) -> None:
    """SEC9."""

    async def main() -> None:
        answer = await get(application(Scene(text("a"))), f"/v1/chat/completions/{id}").done()
        assert answer.status == 404
        assert answer.headers["x-request-id"].startswith("req_")
        assert len(answer.body) < 600

    play(main())


@given(st.text(max_size=50), st.text(max_size=200))
@settings(max_examples=60, deadline=None)
def test_what_a_model_says_stays_in_its_event(name: str, said: str) -> None:
    """SEC9: neither its words nor the name that it gives itself end an event, begin a field, or reach a header."""

    async def main() -> None:
        words = Text(0, json.dumps(said or "-").encode())
        scene = Scene(steps(Say((Open(0, name), words)), STOP, End()))
        first = await whole(application(scene))
        assert first.numbers == [1, 2, 3, 4]
        assert len(first.events) == 4
        assert json.loads(first.events[1])["choices"][0]["delta"]["content"] == (said or "-")
        assert all(value.isprintable() and value.isascii() for value in first.headers.values())

    play(main())


def test_what_cannot_be_read_can_be_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unreadable(tenant: str, id: str) -> None:
        raise Failure(Cause.STORAGE, "This completion can't be read here: its format is 2.")

    async def main() -> None:
        scene = Scene(text("a"))
        app = application(scene)
        path = (await whole(app)).headers["location"]
        with monkeypatch.context() as broken:
            broken.setattr(scene.tapes, "open", unreadable)
            assert (await get(app, path).done()).code == "storage_unavailable"
            gone = await Call(app, "DELETE", path).done()
            assert (gone.status, gone.json["deleted"]) == (200, True)
        assert (await get(app, path).done()).status == 404

    play(main())
