"""An endpoint that does all right, except for one defect: what the checker is checked with."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import h11

from riverrun.conformance.exchanges import BAD, EMOJI
from riverrun.wire.jsonvalue import JsonValue
from tests.conformance import streams
from tests.conformance.streams import Object

HELD = 1.8  # seconds that the defective server goes on for nobody
PLACES = 8
FAULTS = ("cut", "clean end", "error")
"""What a stream breaks off with after four chunks, when it is asked with this one word."""
TAILS = {
    "": b"data: [DONE]\n\n",
    "clean end": b"",
    "error": b'data: {"error":{"message":"overloaded","type":"server_error","param":null,"code":null}}\n\n',
}
JSON = [("content-type", "application/json")]
SSE = [("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache")]
DETAIL = b'{"detail":[{"loc":["body"],"msg":"value is not valid","type":"type_error"}]}'


class Refused(Exception):
    """The server's own no."""

    def __init__(self, status: int, code: JsonValue, param: JsonValue) -> None:
        super().__init__(status)
        self.status = status
        self.code = code
        self.param = param


def the_error(refused: Refused) -> bytes:
    """An error in the official shape."""
    told: Object = {"message": "no", "type": "invalid_request_error", "param": refused.param, "code": refused.code}
    return json.dumps({"error": told}).encode()


def admitted(target: str, body: bytes) -> Object:
    """The request, or Refused: the bad exchanges are known by what they do."""
    if target != "/v1/chat/completions":
        raise Refused(404, "unknown_url", None)
    try:
        asked = json.loads(body)
    except ValueError:
        raise Refused(400, None, None) from None
    if not isinstance(asked, dict):
        raise Refused(400, None, None)
    for wrong, status, code, param in CHECKS:
        if wrong(asked):
            raise Refused(status, code, param)
    return asked


def roles(asked: Object) -> list[JsonValue]:
    """The roles of the messages."""
    messages = asked["messages"]
    assert isinstance(messages, list)
    return [one.get("role") for one in messages if isinstance(one, dict)]


CHECKS: list[tuple[Callable[[Object], object], int, str | None, str | None]] = [
    (lambda asked: not asked.get("model"), 400, "missing_required_parameter", "model"),
    (lambda asked: asked["model"] != "scripted", 404, "model_not_found", None),
    (lambda asked: "messages" not in asked, 400, "missing_required_parameter", "messages"),
    (lambda asked: asked["messages"] == [], 400, "empty_array", "messages"),
    (lambda asked: asked["messages"] == ["hi"], 400, "invalid_type", "messages[0]"),
    (lambda asked: "x" in roles(asked), 400, "invalid_value", "messages[0].role"),
    (lambda asked: "tool" in roles(asked), 400, None, "messages.[2].role"),
    (lambda asked: asked.get("temperature") == 200, 400, "decimal_above_max_value", "temperature"),
    (lambda asked: asked.get("n") == 0, 400, "integer_below_min_value", "n"),
    (lambda asked: asked.get("stream") not in (None, True, False), 400, "invalid_type", "stream"),
]


def script(asked: Object) -> list[Object]:
    """The chunks that answer a request."""
    if asked.get("n") == 3:
        return streams.three()
    if asked.get("tools"):
        return streams.calls()
    if asked.get("logprobs"):
        return streams.logprobs()
    if 5 in (asked.get("max_tokens"), asked.get("max_completion_tokens")):
        return [*streams.text()[:-2], streams.end("length"), streams.counted(9, 5)]
    if EMOJI in json.dumps(asked["messages"], ensure_ascii=False):
        return streams.text([EMOJI[:9], EMOJI[9:]])
    return streams.text()


def sent(asked: Object) -> list[Object]:
    """The chunks as they go out: without usage where it was not asked for."""
    if asked.get("stream_options") is not None:
        return script(asked)
    return [{key: value for key, value in one.items() if key != "usage"} for one in script(asked) if one["choices"]]


def whole(asked: Object) -> bytes:
    """The answer in one piece, folded by hand from the script's own words."""
    tokens: JsonValue = None
    if asked.get("logprobs"):
        tokens = {"content": [streams.token(word) for word in streams.WORDS], "refusal": None}
    message: Object = {"role": "assistant", "content": "".join(streams.WORDS), "refusal": None, "annotations": []}
    finish = "stop"
    if asked.get("tools"):
        # another answer than the streamed one, and so other ids
        functions = (("call_c", "get_weather", '{"city":"Paris"}'), ("call_d", "get_time", "{}"))
        message["content"] = None
        message["tool_calls"] = [
            {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
            for id, name, arguments in functions
        ]
        finish = "tool_calls"
    choice: Object = {"index": 0, "message": message, "logprobs": tokens, "finish_reason": finish}
    usage = streams.counted()["usage"]
    return json.dumps({**streams.IDENTITY, "object": "chat.completion", "choices": [choice], "usage": usage}).encode()


def faulty(asked: Object) -> str:
    """The fault that the last message asks for by name."""
    messages = asked["messages"]
    assert isinstance(messages, list)
    last = messages[-1]
    word = last.get("content") if isinstance(last, dict) else None
    return word if isinstance(word, str) and word in FAULTS else ""


class Scripted:
    """`defect` is "" or "RULE:number"; only the exchanges that the rule judges are answered wrongly."""

    def __init__(self, defect: str = "") -> None:
        self.rule, _, self.number = defect.partition(":")
        self.places = asyncio.Semaphore(PLACES)
        self.left = 0
        self.connections: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, request after request."""
        http = h11.Connection(h11.SERVER)
        task = asyncio.current_task()
        assert task is not None
        self.connections.add(task)
        try:
            while True:
                target, body = await received(http, reader)
                await self.answer(http, reader, writer, target, body)
                await writer.drain()
                if self.rule == "C4":
                    return
                http.start_next_cycle()
        except (ConnectionError, h11.RemoteProtocolError):
            self.left += 1
        finally:
            await closed(writer)

    async def answer(
        self, http: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str, body: bytes
    ) -> None:
        """Answer one request."""

        def send(*events: h11.Event) -> None:
            for event in events:
                writer.write(http.send(event) or b"")

        def at_once(status: int, headers: list[tuple[str, str]], told: bytes) -> None:
            length = ("content-length", str(len(told)))
            send(h11.Response(status_code=status, headers=[*headers, length]), h11.Data(data=told), h11.EndOfMessage())

        wrong = self.defective(target, body)
        if wrong:
            at_once(*wrong)
            return
        try:
            asked = admitted(target, body)
        except Refused as refused:
            at_once(refused.status, JSON, the_error(refused))
            return
        if not asked.get("stream"):
            at_once(200, JSON, whole(asked))
            return
        async with self.places:
            send(h11.Response(status_code=200, headers=SSE))
            if asked.get("max_tokens") == 1500:
                await self.endless(send, reader, writer)
                return
            fault = faulty(asked)
            for chunk in sent(asked)[: 4 if fault else None]:
                send(h11.Data(data=streams.event(chunk)))
            if fault == "cut":
                raise ConnectionResetError
            send(h11.Data(data=TAILS[fault]), h11.EndOfMessage())

    async def endless(
        self, send: Callable[..., None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """A stream that goes on until its client leaves, and, with the defect C1, a while longer."""
        once: Object = {"content": "Once"}
        for delta in (streams.OPENING, once):
            send(h11.Data(data=streams.event(streams.chunk(streams.choice(delta), asked=False))))
        await writer.drain()
        await gone(reader)
        if self.rule == "C1":
            await asyncio.sleep(HELD)
        raise ConnectionResetError

    def defective(self, target: str, body: bytes) -> tuple[int, list[tuple[str, str]], bytes] | None:
        """The wrong answer to an exchange that the defect's rule judges."""
        first = self.number == "0"
        if self.rule == "E1" and b'"stream": true' in body and refused_by_right(target, body):
            told = b'data: {"error":{"message":"no","type":"invalid_request_error","param":null,"code":null}}\n\n'
            return (200, SSE, told + b"data: [DONE]\n\n") if first else (400, SSE, told)
        if self.rule in OF_SPECIAL and OF_SPECIAL[self.rule](body):
            return (422, JSON, DETAIL) if first else (500, JSON, the_error(Refused(500, "internal_error", None)))
        judged = [one for one in BAD if self.rule in one.rules.split(",") and same(one.body, one.keep_model, body)]
        if self.rule.startswith("B") and judged:
            return (422, JSON, DETAIL) if first else (200, JSON, whole({}))
        return None


OF_SPECIAL: dict[str, Callable[[bytes], bool]] = {
    "B11": lambda body: b'"developer"' in body,
    "B12": lambda body: b"riverrun_no_such_parameter" in body,
}


def refused_by_right(target: str, body: bytes) -> bool:
    """Whether a healthy server refuses the request."""
    try:
        admitted(target, body)
    except Refused:
        return True
    return False


def same(expected: Object | bytes, keep_model: bool, body: bytes) -> bool:
    """Whether a request is this exchange's."""
    if isinstance(expected, bytes):
        return body == expected
    made = {"model": "scripted", **expected} if keep_model else expected
    try:
        return bool(json.loads(body) == made)
    except ValueError:
        return False


async def received(http: h11.Connection, reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """One request: its target and its body. Raises ConnectionError when the client has left."""
    target, body = "", b""
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Request):
            target = event.target.decode()
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return target, body
        else:
            raise ConnectionResetError


async def gone(reader: asyncio.StreamReader) -> None:
    """Wait until the client has left."""
    try:
        while await reader.read(65536):
            pass
    except ConnectionError:
        return


@asynccontextmanager
async def endpoint(defect: str = "") -> AsyncIterator[str]:
    """A scripted endpoint's URL."""
    script = Scripted(defect)
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        await asyncio.gather(*script.connections)


async def closed(writer: asyncio.StreamWriter) -> None:
    """Close a connection and wait until it is."""
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
