"""A request that is sent again: joined while it runs, replayed after it, never generated twice (V7)."""

import asyncio
import math
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager

import pytest
from openai import AsyncOpenAI, AsyncStream

from riverrun.backends.scripted import End, Fail, Say, Step, Wait, steps, text
from riverrun.config import ServerConfig
from riverrun.failures import Cause, Failure
from riverrun.routing.target import Deadlines
from riverrun.runs.intent import Habits
from riverrun.server.sockets import Address
from riverrun.stream.ask import Ask
from riverrun.stream.deltas import Finish, Text
from riverrun.stream.flow import Cancelled
from riverrun.tapes.contract import Committed
from riverrun.tapes.log import Log
from tests import virtual
from tests.runs.scenes import Scene
from tests.server.calls import Call, ask
from tests.server.served import PATIENCE, run
from tests.server.test_app import application, request, served
from tests.server.test_app import ask as fetch

SILENT = Deadlines(None, None, None, None)
HI = Say((Text(0, b'"Hi"'),))
STOP = Say((Finish(0, "stop"),))
BUSY = Fail(Failure(Cause.UPSTREAM_BUSY, "busy", retry_after=3.0))
KEY = {"idempotency_key": "k"}


def play(main: Coroutine[object, object, None]) -> None:
    virtual.run(main)


def says(call: Call) -> object:
    choices = call.json["choices"]
    assert isinstance(choices, list)
    return choices[0]["message"]["content"]


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("second", [True, False])
@pytest.mark.parametrize("ended", [True, False])
def test_the_same_key_is_the_same_answer(first: bool, second: bool, ended: bool) -> None:
    async def main() -> None:
        scene = Scene(text("one two three", pace=4.0))
        app = application(scene)
        one = ask(app, {"stream": first, "user": "u"}, **KEY)
        await asyncio.sleep(100.0 if ended else 5.0)
        two = await ask(app, {"stream": second}, **KEY).done()
        await one.done()
        assert len(scene.asks) == 1
        assert one.headers["x-request-id"] == two.headers["x-request-id"]
        assert two.headers.get("idempotent-replayed") == ("true" if ended else None)
        assert "idempotent-replayed" not in one.headers
        assert two.clean
        if first == second:
            assert one.stream == two.stream
        whole = await ask(app, **KEY).done()
        assert says(whole) == "one two three"
        assert whole.json["usage"] == {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4}

    play(main())


@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize("changes", [{"seed": 3}, {"n": 2}, {"messages": [{"role": "user", "content": "ho"}]}], ids=str)
def test_another_body_under_the_same_key(changes: dict[str, object], ended: bool) -> None:
    async def main() -> None:
        scene = Scene(text("one two three", pace=4.0))
        app = application(scene)
        one = ask(app, **KEY)
        await asyncio.sleep(100.0 if ended else 5.0)
        two = await ask(app, changes, **KEY).done()
        assert (two.status, two.code, two.headers["x-should-retry"]) == (422, "idempotency_key_reused", "false")
        assert (await one.done()).status == 200
        assert len(scene.asks) == 1

    play(main())


def test_stream_options_count_between_two_that_stream() -> None:
    async def main() -> None:
        app = application(Scene(text("one")))
        usage: dict[str, object] = {"stream": True, "stream_options": {"include_usage": True}}
        assert (await ask(app, usage, **KEY).done()).status == 200
        assert (await ask(app, {"stream": True}, **KEY).done()).status == 422
        assert (await ask(app, **KEY).done()).status == 200
        assert (await ask(app, usage, **KEY).done()).status == 200

    play(main())


class Then:
    """Plays its scripts one after another, a call each; the last one from then on."""

    def __init__(self, *scripts: tuple[Step, ...]) -> None:
        self._scripts = list(scripts)

    def __call__(self, ask: Ask) -> Iterable[Step]:
        return self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]


@pytest.mark.parametrize("stream", [True, False])
def test_a_failure_before_content_is_not_kept(stream: bool) -> None:
    async def main() -> None:
        scene = Scene(Then((Wait(1.0), BUSY), (HI, STOP, End())))
        app = application(scene)
        calls = [ask(app, {"stream": each}, **KEY) for each in (True, False, True)]
        for call in calls:
            await call.done()
            assert (call.status, call.code, call.headers["retry-after"]) == (429, "rate_limit_exceeded", "3")
        assert len(scene.asks) == 1
        again = await ask(app, {"stream": stream}, **KEY).done()
        assert (again.status, "idempotent-replayed" in again.headers) == (200, False)
        assert len(scene.asks) == 2

    play(main())


def test_a_failure_after_content_is_kept() -> None:
    async def main() -> None:
        scene = Scene(steps(HI, Wait(1.0), Fail(Failure(Cause.UPSTREAM_ERROR, "late"))))
        app = application(scene)
        one = await ask(app, {"stream": True}, **KEY).done()
        two = await ask(app, {"stream": True}, **KEY).done()
        assert one.body == two.body
        assert (two.clean, two.headers["idempotent-replayed"]) == (False, "true")
        assert len(scene.asks) == 1

    play(main())


def test_a_failure_that_is_replayed_is_not_to_be_retried() -> None:
    """The same key brings the same failure for a day: an SDK that tries again only loses time."""

    async def main() -> None:
        scene = Scene(steps(HI, Wait(1.0), Fail(Failure(Cause.UPSTREAM_ERROR, "late"))))
        app = application(scene)
        told = [await ask(app, **KEY).done() for _ in range(2)]
        assert [(each.status, each.headers["x-should-retry"]) for each in told] == [(502, "true"), (502, "false")]
        assert len(scene.asks) == 1

    play(main())


def test_who_left_before_content_left_the_key_free() -> None:
    async def main() -> None:
        scene = Scene(Then((Wait(math.inf),), (HI, STOP, End())), deadlines=SILENT)
        app = application(scene)
        one = ask(app, **KEY)
        await asyncio.sleep(1.0)
        await one.hang_up()
        await scene.runs.idle()
        assert scene.outcomes[0].ending == Cancelled()
        again = await ask(app, **KEY).done()
        assert (says(again), "idempotent-replayed" in again.headers) == ("Hi", False)

    play(main())


def test_two_tenants_with_one_key_are_strangers() -> None:
    async def main() -> None:
        scene = Scene(text("one"))
        app = application(scene, keys=("a-key-of-one", "a-key-of-two"))
        answers = [
            await ask(app, {"n": n}, authorization=f"Bearer a-key-of-{name}", **KEY).done()
            for n, name in enumerate(("one", "two"), 1)
        ]
        assert [each.status for each in answers] == [200, 200]
        assert len({each.headers["x-request-id"] for each in answers}) == 2

    play(main())


def test_fifty_at_once_over_tcp() -> None:
    """X14."""

    async def main() -> None:
        scene = Scene(text("one two three", pace=0.02))
        body = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "stream": True}
        sent = request("POST", "/v1/chat/completions", body, idempotency_key="k")
        other = request("POST", "/v1/chat/completions", {**body, "n": 2}, idempotency_key="k")
        async with served(scene) as address:
            answers = await asyncio.gather(*(fetch(address, sent) for _ in range(50)))
            assert {(each.status, each.clean) for each in answers} == {(200, True)}
            assert len({each.body for each in answers}) == 1
            late = await fetch(address, sent)
            assert (late.body, late.headers["idempotent-replayed"]) == (answers[0].body, "true")
            assert (await fetch(address, other)).status == 422
            assert len(scene.asks) == 1

    run(main())


def test_a_cursor_needs_a_key() -> None:
    async def main() -> None:
        scene = Scene(text("one two"))
        answer = await ask(application(scene), {"stream": True}, last_event_id="2").done()
        assert (answer.status, scene.asks) == (400, [])
        assert answer.json["error"]["param"] == "Last-Event-ID"  # type: ignore[index]  # it is an error

    play(main())


@pytest.mark.parametrize("ended", [True, False])
def test_a_repeated_post_resumes(ended: bool) -> None:
    async def main() -> None:
        scene = Scene(text("one two three", pace=4.0))
        app = application(scene)
        one = ask(app, {"stream": True}, **KEY)
        await one.until(lambda call: call.numbers[-1:] == ([6] if ended else [3]))
        two = await ask(app, {"stream": True}, last_event_id="3", **KEY).done()
        await one.done()
        assert two.numbers == [4, 5, 6]
        assert one.body.endswith(two.body)
        end = await ask(app, {"stream": True}, last_event_id="6", **KEY).done()
        assert (end.status, end.body) == (204, b"")
        beyond = await ask(app, {"stream": True}, last_event_id="7", **KEY).done()
        assert beyond.status == 400
        assert len(scene.asks) == 1

    play(main())


def test_a_stream_that_is_not_here_is_not_generated_anew_for_a_cursor() -> None:
    async def main() -> None:
        scene = Scene(text("one two three", pace=4.0))
        app = application(scene)
        lost = await ask(app, {"stream": True}, last_event_id="3", **KEY).done()
        assert lost.status == 400
        await scene.runs.idle()
        assert scene.asks == []
        assert (await ask(app, {"stream": True}, last_event_id="0", **KEY).done()).status == 200

    play(main())


# The net for retries without a key

NET = Habits(join_retries=True)
RETRY = {"x_stainless_retry_count": "1"}


def net(pace: float = 5.0, habits: Habits = NET) -> Scene:
    return Scene(text("one two three four", pace=pace), habits=habits, deadlines=SILENT)


@pytest.mark.parametrize("stream", [True, False])
def test_a_retry_joins_what_its_client_lost_once(stream: bool) -> None:
    """X15."""

    async def main() -> None:
        scene = net(10.0)
        app = application(scene)
        lost = ask(app, {"stream": stream})
        await asyncio.sleep(12.0)
        await lost.hang_up()
        await asyncio.sleep(2.0)
        retry = ask(app, {"stream": stream}, **RETRY)
        await asyncio.sleep(1.0)
        another = ask(app, {"stream": stream}, **RETRY)
        await asyncio.gather(retry.done(), another.done())
        assert len(scene.asks) == 2
        assert len({retry.headers["x-request-id"], another.headers["x-request-id"]}) == 2
        if stream:
            assert retry.stream.startswith(lost.stream)
            assert retry.numbers == list(range(1, 8))
        else:
            assert says(retry) == "one two three four"

    play(main())


def test_a_retry_finds_an_answer_that_has_ended_since() -> None:
    async def main() -> None:
        scene = net()
        app = application(scene)
        lost = ask(app)
        await asyncio.sleep(6.0)
        await lost.hang_up()
        await scene.runs.idle()
        retry = await ask(app, **RETRY).done()
        assert (says(retry), retry.headers["idempotent-replayed"]) == ("one two three four", "true")
        assert len(scene.asks) == 1

    play(main())


@pytest.mark.parametrize(
    ("habits", "headers", "changes", "pause"),
    [
        (Habits(on_disconnect="grace"), RETRY, {}, 1.0),  # it is off by default
        (NET, {}, {}, 1.0),  # a first attempt
        (NET, {"x_stainless_retry_count": "0"}, {}, 1.0),
        (NET, RETRY, {"seed": 4}, 1.0),  # another body
        (NET, {**RETRY, "authorization": "Bearer a-key-of-two"}, {}, 1.0),
        (NET, {**RETRY, "idempotency_key": "k"}, {}, 1.0),
        (NET, RETRY, {}, 121.0),  # too late
        (NET, RETRY, {}, 31.0),  # its grace is over, and it was cancelled
    ],
)
def test_what_the_net_does_not_join(
    habits: Habits, headers: dict[str, str], changes: dict[str, object], pause: float
) -> None:
    async def main() -> None:
        scene = net(20.0 if pause == 31.0 else 5.0, habits)
        app = application(scene, keys=("a-key-of-one", "a-key-of-two"))
        mine = {"authorization": "Bearer a-key-of-one"}
        lost = ask(app, **mine)
        await asyncio.sleep(6.0)
        await lost.hang_up()
        await asyncio.sleep(pause)
        retry = await ask(app, changes, **{**mine, **headers}).done()
        assert (retry.status, "idempotent-replayed" in retry.headers) == (200, False)
        assert len(scene.asks) == 2

    play(main())


def test_the_net_leaves_an_answer_alone_whose_reader_is_there_or_is_back() -> None:
    async def main() -> None:
        scene = net(50.0)
        app = application(scene)
        live = ask(app, {"stream": True})
        retry = ask(app, {"stream": True}, **RETRY)
        await asyncio.sleep(60.0)
        assert len(scene.asks) == 2
        await live.hang_up()
        back = Call(app, "GET", live.headers["location"] + "?stream=true")
        await asyncio.sleep(1.0)
        other = ask(app, {"stream": True}, **RETRY)
        await asyncio.gather(retry.done(), back.done(), other.done())
        assert len(scene.asks) == 3

    play(main())


def test_an_ordinary_failure_is_retried_anew() -> None:
    async def main() -> None:
        scene = Scene(Then((Wait(1.0), BUSY), (HI, STOP, End())), habits=NET)
        app = application(scene)
        assert (await ask(app).done()).status == 429
        assert says(await ask(app, **RETRY).done()) == "Hi"

    play(main())


# The official SDK, whose connection is reset


@asynccontextmanager
async def resetting(address: Address, spoken: asyncio.Event) -> AsyncIterator[int]:
    """A way to the server on which the first connection is reset once the answer is being generated. Its port."""
    seen = 0

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        seen += 1
        there, here = await asyncio.open_connection(address.host, address.port)
        onward = asyncio.ensure_future(copy(reader, here))
        try:
            if seen == 1:
                async with asyncio.timeout(PATIENCE):
                    await spoken.wait()
                writer.transport.abort()
            else:
                await copy(there, writer)
        finally:
            onward.cancel()
            here.transport.abort()
            writer.transport.abort()

    async with await asyncio.start_server(relay, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
    assert seen == 2


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(65536):
        writer.write(piece)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("headers", [{"Idempotency-Key": "k"}, {}], ids=["key", "net"])
def test_the_official_sdk_tries_again_and_is_charged_once(headers: dict[str, str], stream: bool) -> None:
    """X15."""

    async def main() -> None:
        spoken = asyncio.Event()

        def script(ask: Ask) -> Iterable[Step]:
            spoken.set()
            return (Wait(0.3), HI, Wait(0.7), STOP, End())

        scene = Scene(script, habits=Habits(join_retries=not headers))
        async with (
            served(scene) as address,
            resetting(address, spoken) as port,
            AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="unused", max_retries=1) as openai,
        ):
            answer = await openai.chat.completions.create(
                model="tiny",
                messages=[{"role": "user", "content": "hi"}],
                stream=stream,
                extra_headers=headers,
            )
            if isinstance(answer, AsyncStream):
                said = "".join([chunk.choices[0].delta.content or "" async for chunk in answer])
            else:
                said = answer.choices[0].message.content or ""
        assert said == "Hi"
        assert len(scene.asks) == 1

    run(main())


@pytest.mark.parametrize("stored", [True, False])
def test_what_is_done_here_is_not_named_as_dropped(stored: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    dropping = Committed("tiny", ("metadata", "store", "verbosity"))
    began = Log.began
    monkeypatch.setattr(Log, "began", lambda tape, facts: began(tape, dropping))  # as a dialect that drops has it

    async def main() -> None:
        scene = Scene(text("one"))
        strict = application(scene, config=ServerConfig(strict=True))
        answer = await ask(application(scene), {"store": stored}).done()
        assert answer.headers["x-riverrun-dropped"] == ("verbosity" if stored else "metadata, store, verbosity")
        refused = await ask(strict, {"store": stored}).done()
        assert f"'{'verbosity' if stored else 'metadata'}'" in refused.body.decode()

    play(main())
