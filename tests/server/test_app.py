"""The application over real sockets, with scripted models behind it: answers, errors, headers, who may come in."""

import asyncio
import json
import logging
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from random import Random

import msgspec
import pytest

from riverrun.backends.scripted import End, Fail, Say, Script, Step, Wait, steps, text
from riverrun.config import ServerConfig
from riverrun.config.values import digest
from riverrun.failures import Cause, Failure
from riverrun.server.app import App, Route
from riverrun.server.build import chat_routes
from riverrun.server.chat import Chat, _facts
from riverrun.server.exchange import Exchange
from riverrun.server.guard import Guard, Keys
from riverrun.server.host import running
from riverrun.server.limits import HostLimits
from riverrun.server.models import Listed, Models
from riverrun.server.sockets import Address, Listen
from riverrun.stream.deltas import Finish, Text
from riverrun.stream.flow import Cancelled
from riverrun.tapes.contract import Committed
from riverrun.wire.sse import HEARTBEAT, Decoder
from tests.runs.scenes import Scene
from tests.server.served import Wire, run, wire

HI = Say((Text(0, b'"Hi"'),))
STOP = Say((Finish(0, "stop"),))
KEY = "a-key-of-this-test"


@asynccontextmanager
async def _life() -> AsyncIterator[None]:
    yield


async def _broken(exchange: Exchange, grant: object) -> None:
    raise ZeroDivisionError("a bug")


def application(
    scene: Scene, *, config: ServerConfig | None = None, keys: tuple[str, ...] = (), origins: tuple[str, ...] = ()
) -> App:
    """Each key has a tenant of its own."""
    models = Models({"tiny": Listed("tiny", 7), "org/tiny": Listed("org/tiny", 7)})
    routes = {
        **chat_routes(Chat(scene.runs, config or ServerConfig()), scene.tapes),
        "/v1/models": Route({"GET": models.all}),
        "/v1/models/{name}": Route({"GET": models.one}),
        "/broken": Route({"GET": _broken}, public=True),
    }
    guard = Guard(loopback=True, origins=origins, keys=Keys({digest(key): f"of {key}" for key in keys}))
    return App(routes, guard, Random(3), _life, lambda: None, scene.runs.interrupt)


@asynccontextmanager
async def served(
    scene: Scene, *, config: ServerConfig | None = None, keys: tuple[str, ...] = (), origins: tuple[str, ...] = ()
) -> AsyncIterator[Address]:
    app = application(scene, config=config, keys=keys, origins=origins)
    async with running(app, Listen(port=0), HostLimits(linger=0.2)) as address:
        yield address


def request(method: str, path: str, body: object = None, **headers: str) -> bytes:
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {"host": "localhost", "content-length": str(len(data)), **headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + data


def chat(**parameters: object) -> bytes:
    body = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], **parameters}
    return request("POST", "/v1/chat/completions", body)


class Answer(msgspec.Struct):
    """A response: `clean` tells whether its body came to its proper end."""

    status: int
    headers: dict[str, str]
    body: bytes
    clean: bool

    @property
    def json(self) -> dict[str, object]:
        value: dict[str, object] = msgspec.json.decode(self.body)
        return value

    @property
    def error(self) -> dict[str, object]:
        error = self.json["error"]
        assert isinstance(error, dict)
        return error

    @property
    def events(self) -> list[bytes]:
        return [event.data for event in Decoder().feed(self.body)]


async def ask(address: Address, data: bytes) -> Answer:
    async with wire(address) as line:
        line.send(data)
        return await read(line)


async def read(line: Wire) -> Answer:
    head = (await line.until(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in head[1:-2])}
    body, clean = b"", True
    if "content-length" in headers:
        async with asyncio.timeout(10):
            body = await line.reader.readexactly(int(headers["content-length"]))
    elif headers.get("transfer-encoding") == "chunked":
        body, clean = await _chunked(line)
    return Answer(int(head[0].split()[1]), headers, body, clean)


async def _chunked(line: Wire) -> tuple[bytes, bool]:
    body = b""
    async with asyncio.timeout(10):
        while size := await line.reader.readline():
            length = int(size, 16)
            piece = await line.reader.readexactly(length + 2)
            if length == 0:
                return body, True
            body += piece[:-2]
    return body, False


def test_a_stream() -> None:
    async def main() -> None:
        async with served(Scene(text("Hello there"))) as address:
            answer = await ask(address, chat(stream=True, stream_options={"include_usage": True}))
            assert answer.status == 200
            assert answer.clean
            assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert answer.headers["cache-control"] == "no-cache"
            assert answer.headers["x-accel-buffering"] == "no"
            assert answer.headers["x-riverrun-target"] == "tiny"
            first = json.loads(answer.events[0])
            assert answer.headers["x-request-id"] == first["id"]
            assert answer.events[-1] == b"[DONE]"
            assert json.loads(answer.events[-2])["usage"]["completion_tokens"] == 2
            numbers = [line for line in answer.body.split(b"\n") if line.startswith(b"id: ")]
            assert numbers == [b"id: %d" % number for number in range(1, len(answer.events) + 1)]

    run(main())


def test_a_whole_answer_and_the_connection_stays() -> None:
    async def main() -> None:
        async with served(Scene(text("Hello there"))) as address, wire(address) as line:
            for _ in range(2):
                line.send(chat())
                answer = await read(line)
                assert answer.status == 200
                choices = answer.json["choices"]
                assert isinstance(choices, list)
                assert choices[0]["message"]["content"] == "Hello there"
                assert answer.headers["x-request-id"] == answer.json["id"]
            line.send(chat(stream=True))
            assert (await read(line)).clean
            line.send(chat())
            assert (await read(line)).status == 200

    run(main())


@pytest.mark.parametrize("stream", [True, False])
def test_a_failure_before_content_has_its_own_status(stream: bool) -> None:
    async def main() -> None:
        scene = Scene(steps(Fail(Failure(Cause.UPSTREAM_BUSY, "busy", retry_after=3.0))))
        async with served(scene) as address:
            answer = await ask(address, chat(stream=stream))
            assert (answer.status, answer.headers["content-type"]) == (429, "application/json")
            assert (answer.headers["retry-after"], answer.headers["x-should-retry"]) == ("3", "true")
            assert answer.error["riverrun"] == {
                "request_id": answer.headers["x-request-id"],
                "attempts": [{"target": "tiny", "cause": "upstream_busy"}],
            }

    run(main())


def test_a_failure_after_content_is_a_frame_and_a_cut() -> None:
    async def main() -> None:
        scene = Scene(steps(HI, Wait(0.01), Fail(Failure(Cause.UPSTREAM_INTERRUPTED, "cut"))))
        async with served(scene) as address:
            answer = await ask(address, chat(stream=True))
            assert answer.status == 200
            assert not answer.clean
            assert json.loads(answer.events[-1])["error"]["message"] == "cut"
            assert b"[DONE]" not in answer.body
            whole = await ask(address, chat())
            assert (whole.status, whole.error["code"]) == (502, "upstream_interrupted")

    run(main())


def test_a_held_stream_beats_and_then_answers() -> None:
    async def main() -> None:
        scene = Scene(steps(Wait(0.3), HI, STOP, End()))
        config = ServerConfig(commit_after=0.05, heartbeat=0.1)
        async with served(scene, config=config) as address:
            answer = await ask(address, chat(stream=True))
            assert answer.status == 200
            assert answer.clean
            assert "x-riverrun-target" not in answer.headers
            assert answer.body.startswith(HEARTBEAT + HEARTBEAT)
            assert answer.body.replace(HEARTBEAT, b"").startswith(b"id: 1\n")
            assert answer.events[-1] == b"[DONE]"

    run(main())


def test_a_held_stream_that_fails_says_so_in_a_frame() -> None:
    async def main() -> None:
        scene = Scene(steps(Wait(0.1), Fail(Failure(Cause.UPSTREAM_ERROR, "late"))))
        async with served(scene, config=ServerConfig(commit_after=0.02)) as address:
            answer = await ask(address, chat(stream=True))
            assert answer.status == 200
            assert not answer.clean
            assert [json.loads(event)["error"]["message"] for event in answer.events] == ["late"]

    run(main())


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("script", [steps(Wait(math.inf)), steps(HI, Wait(math.inf))], ids=["before", "within"])
def test_a_client_that_goes_stops_its_run(stream: bool, script: Script) -> None:
    async def main() -> None:
        scene = Scene(script)
        async with served(scene) as address:
            async with wire(address) as line:
                line.send(chat(stream=stream))
                while not scene.runs.running:
                    await asyncio.sleep(0.005)
            async with asyncio.timeout(5):
                await scene.runs.idle()
            assert scene.outcomes[0].ending == Cancelled()

    run(main())


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (request("POST", "/v1/chat/completions", b"{"), 400, None),
        (request("POST", "/v1/chat/completions", []), 400, None),
        (request("POST", "/v1/chat/completions", {"model": "tiny"}), 400, "missing_required_parameter"),
        (chat(temperature=3), 400, "decimal_above_max_value"),
        (chat(stream="yes"), 400, "invalid_type"),
        (chat(n=9), 400, "integer_above_max_value"),
        (chat(model="huge"), 404, "model_not_found"),
        (request("PUT", "/v1/chat/completions"), 405, "method_not_supported"),
        (request("GET", "/v1/nonsense"), 404, "unknown_url"),
        (request("GET", "/v1/models/huge"), 404, "model_not_found"),
        (request("GET", "/v1/models/"), 404, "unknown_url"),
        (request("GET", "/broken"), 500, "internal_error"),
        (request("GET", "/v1/models", host="evil.example"), 403, "host_not_allowed"),
        (request("GET", "/v1/models", origin="http://evil.example"), 403, "origin_not_allowed"),
    ],
)
def test_every_error_is_json_in_the_official_shape(data: bytes, status: int, code: str | None) -> None:
    async def main() -> None:
        async with served(Scene(text("a"))) as address:
            answer = await ask(address, data)
            assert (answer.status, answer.error["code"]) == (status, code)
            assert {"message", "type", "param", "code"} <= set(answer.error)
            assert answer.headers["x-should-retry"] == "false"
            assert answer.headers["x-request-id"]
            assert "bug" not in str(answer.error["message"])

    run(main())


def test_models() -> None:
    async def main() -> None:
        async with served(Scene(text("a"))) as address:
            tiny = {"id": "tiny", "object": "model", "created": 7, "owned_by": "riverrun"}
            assert (await ask(address, request("GET", "/v1/models"))).json == {
                "object": "list",
                "data": [tiny, {**tiny, "id": "org/tiny"}],
            }
            for path in ("/v1/models/org/tiny", "/v1/models/org%2Ftiny"):
                assert (await ask(address, request("GET", path))).json["id"] == "org/tiny"
            async with wire(address) as line:
                line.send(request("HEAD", "/v1/models", connection="close"))
                head = await line.rest()
            assert head.startswith(b"HTTP/1.1 200 ")
            assert head.endswith(b"\r\n\r\n")

    run(main())


def test_keys() -> None:
    async def main() -> None:
        async with served(Scene(text("a")), keys=(KEY,)) as address:
            assert (await ask(address, chat())).status == 401
            wrong = await ask(address, request("GET", "/v1/models", authorization="Bearer nonsense"))
            assert (wrong.status, wrong.headers["www-authenticate"]) == (401, "Bearer")
            assert (await ask(address, request("GET", "/v1/models", authorization=f"Bearer {KEY}"))).status == 200
            assert KEY.encode() not in wrong.body

    run(main())


def test_an_allowed_origin_may_read_and_ask_first() -> None:
    async def main() -> None:
        async with served(Scene(text("a")), origins=("https://app.example",)) as address:
            headers = {"origin": "https://app.example", "access_control_request_headers": "x-stainless-os"}
            preflight = await ask(address, request("OPTIONS", "/v1/chat/completions", **headers))
            assert preflight.status == 204
            assert preflight.headers["access-control-allow-origin"] == "https://app.example"
            assert "x-stainless-os" in preflight.headers["access-control-allow-headers"]
            answer = await ask(address, request("GET", "/v1/models", origin="https://app.example"))
            assert answer.headers["access-control-allow-origin"] == "https://app.example"

    run(main())


def test_one_log_line_per_request_without_a_word_of_the_prompt(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with served(Scene(text("the answer"))) as address:
            secret = [{"role": "user", "content": "the secret"}]
            await ask(address, chat(messages=secret))
            body = {"model": "tiny", "messages": secret, "stream": True}
            await ask(address, request("POST", "/v1/chat/completions", body, x_client_request_id="mine-1"))
            await ask(address, chat(messages=secret, temperature=9))

    with caplog.at_level(logging.INFO, "riverrun.access"):
        run(main())
    lines = [record.getMessage() for record in caplog.records if record.name == "riverrun.access"]
    assert len(lines) == 3
    assert lines[0].startswith("200 whole chatcmpl-")
    assert lines[0].endswith("finished")
    assert "(mine-1)" in lines[1]
    assert "2 tokens" in lines[1]
    assert lines[2].startswith("400 POST /v1/chat/completions req_")
    assert not any("secret" in line or "answer" in line for line in lines)


@pytest.mark.parametrize("name", ["a\r\nX: 1", "a\0b", "x" * 70_000, "é😀", "\x7f"])
def test_a_strange_parameter_is_named_harmlessly(name: str) -> None:
    for _, value in _facts(Committed(name, (name,))):
        assert 0 < len(value) <= 128
        assert value.isascii()
        assert value.decode().isprintable()


def test_a_strict_server_refuses_what_it_would_drop() -> None:
    async def main() -> None:
        dropping, whole = Committed("tiny", ("user",)), Committed("tiny")
        lenient, strict = (Chat(Scene(text("a")).runs, ServerConfig(strict=strict)) for strict in (False, True))
        assert lenient._carried(dropping) is dropping
        assert strict._carried(whole) is whole
        with pytest.raises(Failure, match="'user' can't be carried to tiny") as caught:
            strict._carried(dropping)
        assert (caught.value.status, caught.value.param) == (400, "user")

    run(main())


def test_dropped_parameters_are_named_up_to_a_limit() -> None:
    names = tuple(f"p{number}" for number in range(100_000))
    listed = dict(_facts(Committed("tiny", names)))[b"x-riverrun-dropped"]
    assert listed.startswith(b"p0, p1, ")
    assert listed.endswith(b", and 99984 more")


def test_a_slow_reader_gets_everything_and_holds_nothing_up() -> None:
    def script(ask: object) -> Iterator[Step]:
        for _ in range(400):
            yield Say((Text(0, b'"' + b"x" * 5000 + b'"'),))
        yield STOP
        yield End()

    async def main() -> None:
        scene = Scene(script)
        async with served(scene) as address, wire(address) as slow:
            slow.reader._limit = 1024  # type: ignore[attr-defined]  # asyncio's own buffer would hide the slowness
            slow.send(chat(stream=True))
            await slow.until(b"\r\n\r\n")
            async with asyncio.timeout(5):
                await scene.runs.idle()
            assert (await ask(address, chat())).status == 200
            body, clean = await _chunked(slow)
            assert clean
            assert body.count(b"x" * 5000) == 400

    run(main())


def test_the_log_says_what_was_sent(caplog: pytest.LogCaptureFixture) -> None:
    """A held stream that failed was a 200; a whole answer that failed after its first content was a 502."""

    async def main() -> None:
        late = Scene(steps(Wait(0.1), Fail(Failure(Cause.UPSTREAM_ERROR, "late"))))
        async with served(late, config=ServerConfig(commit_after=0.02)) as address:
            await ask(address, chat(stream=True))
        async with served(Scene(steps(HI, Fail(Failure(Cause.UPSTREAM_ERROR, "cut"))))) as address:
            await ask(address, chat())

    with caplog.at_level(logging.INFO, "riverrun.access"):
        run(main())
    lines = [record.getMessage().split() for record in caplog.records if record.name == "riverrun.access"]
    assert [(line[0], line[1], line[-1]) for line in lines] == [
        ("200", "stream", "upstream_error"),
        ("502", "whole", "upstream_error"),
    ]


def test_a_request_whose_body_is_still_coming_is_refused_when_the_server_drains() -> None:
    async def main() -> None:
        scene = Scene(text("a"))
        guard = Guard(loopback=True)
        surface = Chat(scene.runs, ServerConfig())
        app = App({"/": Route({"POST": surface})}, guard, Random(3), _life, lambda: None, scene.runs.interrupt)
        async with running(app, Listen(port=0), HostLimits(linger=0.2)) as address, wire(address) as line:
            line.send(request("POST", "/", {"model": "tiny"})[:-5])
            while not any(exchange.reading for exchange in app.open):
                await asyncio.sleep(0.01)
            app.drain()
            answer = await read(line)
            assert (answer.status, answer.error["code"]) == (503, "server_overloaded")
            assert answer.headers["retry-after"] == "1"

    run(main())
