"""The stock openai SDK over real sockets that break: its answer is the same as without a break, or it is an error.

`WHOLE` is a cut that never comes: a second connection that must be left alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import openai
import pytest

import riverrun
from riverrun.clients.patience import Patience
from tests import upstreams
from tests.client import asking
from tests.client.asking import ASKING, SOON, Answer
from tests.client.network import Background, Cut, How, Relay, relaying
from tests.client.stand_in import WORDS, StandIn, payloads
from tests.clients import environments

ROOT = Path(__file__).parents[2]
WHOLE = Cut(1 << 40)
SHORT = ["Grüße 🌊"]
PROGRAM_LIMIT = 60.0

Ask = Callable[..., list[Answer]]


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    return ASKING[request.param]


def text(answer: Answer) -> str:
    deltas = [choice["delta"] for chunk in answer["chunks"] for choice in chunk["choices"]]  # type: ignore[attr-defined]
    return "".join(delta["content"] or "" for delta in deltas)


def ends(server: StandIn) -> int:
    """The place in the answer where its last event is whole: a cut there is none."""
    return server.streamed().index(b"[DONE]") + len(b"[DONE]\n\n")


def cut_everywhere(relay: Relay, places: int) -> None:
    for place in range(places):
        relay.cuts += [Cut(place, "clean"), WHOLE]


@pytest.mark.parametrize("framing", ["transfer-encoding: chunked", ""], ids=["chunked", "until-eof"])
def test_a_cut_at_every_byte_is_unseen(ask: Ask, framing: str, loop_thread: Background) -> None:
    """X1. Without chunks, a cut is a clean end of the stream, and only the missing [DONE] tells it."""
    short = StandIn(SHORT)
    short.framing = framing
    with (
        loop_thread.entered(upstreams.serve(upstream=short)),
        loop_thread.entered(relaying(short.port)) as relay,
    ):
        (whole,) = ask(relay.base_url)
        cut_everywhere(relay, ends(short))
        answers = ask(relay.base_url, ends(short))
        assert not relay.cuts
    assert text(whole) == "Grüße 🌊"
    assert [place for place, answer in enumerate(answers) if answer != whole] == []
    assert len(set(short.keys)) == 1 + len(answers)  # one generation each, also where the POST was sent twice


def test_twelve_resets_in_one_answer(ask: Ask, stand_in: StandIn, relay: Relay) -> None:
    words = [f"Wort {number} 🌊 " for number in range(100)]
    stand_in.told = payloads(words)
    (whole,) = ask(relay.base_url)
    relay.cuts += [Cut(place, "reset") for place in range(0, 600, 50)]
    (answer,) = ask(relay.base_url)
    assert not relay.cuts
    assert answer == whole
    assert text(answer) == "".join(words)


class Jitter(Random):
    """Tells when the client has had to wait for the `count`th time."""

    def __init__(self, count: int) -> None:
        super().__init__(1)
        self.left = count
        self.reached = threading.Event()

    def uniform(self, a: float, b: float) -> float:
        self.left -= 1
        if not self.left:
            self.reached.set()
        return super().uniform(a, b)


@contextmanager
def asked_meanwhile(ask: Ask, base_url: str, **options: object) -> Iterator[list[Answer]]:
    """Asks in a thread; the answers are there at the end."""
    answers: list[Answer] = []
    talking = threading.Thread(target=lambda: answers.extend(ask(base_url, **options)))
    talking.start()
    try:
        yield answers
    finally:
        talking.join(SOON.give_up_after)


def test_a_server_that_restarts(ask: Ask, loop_thread: Background, stand_in: StandIn, relay: Relay) -> None:
    """The port is closed in the middle of an answer, and opens again when the client has been refused three times."""
    stand_in.stops_after = 4
    jitter = Jitter(4)
    with asked_meanwhile(ask, relay.base_url, random=jitter) as answers:
        loop_thread.run(stand_in.asked(1))
        loop_thread.run(relay.vanish())
        assert jitter.reached.wait(SOON.give_up_after)
        loop_thread.run(relay.listen())
    assert [(text(answer), answer["error"]) for answer in answers] == [("".join(WORDS), "")]
    assert len(set(stand_in.keys)) == 1


def test_a_server_that_is_not_there_yet(ask: Ask, loop_thread: Background, stand_in: StandIn, relay: Relay) -> None:
    loop_thread.run(relay.vanish())
    jitter = Jitter(4)
    with asked_meanwhile(ask, relay.base_url, random=jitter) as answers:
        assert jitter.reached.wait(SOON.give_up_after)
        loop_thread.run(relay.listen())
    assert [text(answer) for answer in answers] == ["".join(WORDS)]


def test_a_proxy_that_says_503_while_the_server_is_away(ask: Ask, stand_in: StandIn, relay: Relay) -> None:
    stand_in.unavailable = ["503 Service Unavailable", "502 Bad Gateway", "429 Too Many Requests"]
    relay.cuts.append(Cut(600))
    (answer,) = ask(relay.base_url)
    assert text(answer) == "".join(WORDS)
    assert len(stand_in.requests) == 5


@pytest.mark.parametrize("status", ["404 Not Found", "410 Gone", "204 No Content", "500 Internal Server Error"])
@pytest.mark.parametrize("how", ["clean", "reset"])
def test_an_answer_that_is_gone_never_looks_finished(
    ask: Ask, status: str, how: How, stand_in: StandIn, relay: Relay
) -> None:
    stand_in.unavailable = [status]
    relay.cuts.append(Cut(600, how))
    (answer,) = ask(relay.base_url)
    assert answer["error"] == f"APIConnectionError from {'ReadError' if how == 'reset' else 'RemoteProtocolError'}"
    assert "".join(WORDS).startswith(text(answer))
    assert len(stand_in.requests) == 2


def test_what_is_asked_again_is_what_was_asked(ask: Ask, stand_in: StandIn, relay: Relay) -> None:
    relay.cuts.append(Cut(600))
    ask(relay.base_url)
    post, get = stand_in.requests
    assert get.line == "GET /v1/chat/completions/chatcmpl-1 HTTP/1.1"
    assert get.headers["authorization"] == post.headers["authorization"] == "Bearer k"
    assert post.headers["x-riverrun-on-disconnect"] == "grace"
    assert int(get.headers["last-event-id"]) > 0
    assert "idempotency-key" not in get.headers


def test_the_sdks_own_retries_have_the_same_key(ask: Ask, stand_in: StandIn, relay: Relay) -> None:
    stand_in.refusals = ["503 Service Unavailable", "429 Too Many Requests"]
    answers = ask(relay.base_url, 2, retries=2)
    assert [text(answer) for answer in answers] == ["".join(WORDS)] * 2
    first, second, third, next_request = stand_in.keys
    assert first == second == third != next_request


def test_an_error_in_the_stream_is_the_end(ask: Ask, stand_in: StandIn, relay: Relay) -> None:
    stand_in.told[3:] = [b'{"error":{"message":"no more","type":"server_error","param":null,"code":null}}']
    (answer,) = ask(relay.base_url)
    assert answer["error"] == "APIError from NoneType"
    assert len(stand_in.requests) == 1


GOING_DOWN = b'data: {"error":{"message":"going down","type":"server_error","param":null,"code":"server_draining"}}\n\n'


def test_an_error_without_a_number_asks_to_come_back(ask: Ask, stand_in: StandIn, relay: Relay) -> None:
    stand_in.stops_after, stand_in.last_words = 3, GOING_DOWN
    (answer,) = ask(relay.base_url)
    assert (text(answer), answer["error"]) == ("".join(WORDS), "")


def test_an_error_without_a_number_is_told_where_nobody_goes_on(ask: Ask, stand_in: StandIn, relay: Relay) -> None:
    stand_in.stops_after, stand_in.last_words = 3, GOING_DOWN
    stand_in.unavailable = ["404 Not Found"]
    (answer,) = ask(relay.base_url)
    assert answer["error"] == "APIError from NoneType"
    assert len(answer["chunks"]) == 3


def test_another_server_is_left_alone(ask: Ask, stand_in: StandIn, relay: Relay) -> None:
    stand_in.is_riverrun = False
    (whole,) = ask(relay.base_url)
    relay.cuts.append(Cut(400, "reset"))
    (cut,) = ask(relay.base_url)
    assert text(whole) == "".join(WORDS)
    assert cut["error"].startswith("APIConnectionError")
    assert [request.line.split()[0] for request in stand_in.requests] == ["POST", "POST"]


def test_silence_on_an_open_connection_is_a_break(ask: Ask, stand_in: StandIn, relay: Relay) -> None:
    """X26: no FIN comes. The user's own limit of ten minutes does not count then."""
    relay.cuts.append(Cut(600, "silent"))
    (answer,) = ask(relay.base_url, patience=Patience(first_pause=0.001, silent_after=0.3))
    assert text(answer) == "".join(WORDS)
    assert len(stand_in.requests) == 2


def test_the_users_own_timeout_is_kept(ask: Ask, stand_in: StandIn, relay: Relay) -> None:
    relay.cuts.append(Cut(600, "silent"))
    (answer,) = ask(relay.base_url, timeout=0.3)
    assert answer["error"] == "APITimeoutError from ReadTimeout"
    assert len(stand_in.requests) == 1


def test_the_users_own_timeout_before_the_headers(ask: Ask, stand_in: StandIn, relay: Relay) -> None:
    relay.cuts.append(Cut(0, "silent"))
    (answer,) = ask(relay.base_url, timeout=0.3)
    assert answer["error"] == "APITimeoutError from ReadTimeout"
    assert len(stand_in.requests) == 1


def test_leaving_early_closes_the_connection(loop_thread: Background, stand_in: StandIn, relay: Relay) -> None:
    stand_in.stops_after = 3
    with openai.OpenAI(base_url=relay.base_url, api_key="k", http_client=riverrun.client()) as sdk:
        with sdk.chat.completions.create(model="m", messages=[], stream=True) as stream:
            next(iter(stream))
        loop_thread.run(relay.quiet())
    assert len(stand_in.requests) == 1


def test_leaving_early_closes_the_connection_async(loop_thread: Background, stand_in: StandIn, relay: Relay) -> None:
    stand_in.stops_after = 3

    async def leave() -> None:
        async with openai.AsyncOpenAI(base_url=relay.base_url, api_key="k", http_client=riverrun.async_client()) as sdk:
            async with await sdk.chat.completions.create(model="m", messages=[], stream=True) as stream:
                async for _ in stream:
                    break
            await asyncio.to_thread(loop_thread.run, relay.quiet())

    asyncio.run(leave())
    assert len(stand_in.requests) == 1


def test_a_cancelled_task_closes_the_connection(loop_thread: Background, stand_in: StandIn, relay: Relay) -> None:
    stand_in.stops_after = 3

    async def read(sdk: openai.AsyncOpenAI) -> None:
        async with asyncio.timeout(0.3):
            async for _ in await sdk.chat.completions.create(model="m", messages=[], stream=True):
                pass

    async def leave() -> None:
        async with openai.AsyncOpenAI(base_url=relay.base_url, api_key="k", http_client=riverrun.async_client()) as sdk:
            with pytest.raises(TimeoutError):
                await read(sdk)
            await asyncio.to_thread(loop_thread.run, relay.quiet())

    asyncio.run(leave())


@pytest.mark.parametrize("place", [0, 100, 250, 350])
def test_a_whole_answer_that_breaks_is_asked_for_again_by_its_key(place: int, stand_in: StandIn, relay: Relay) -> None:
    relay.cuts.append(Cut(place, "reset" if place else "clean"))
    client = riverrun.client(patience=SOON)
    with openai.OpenAI(base_url=relay.base_url, api_key="k", max_retries=0, http_client=client) as sdk:
        answer = sdk.chat.completions.create(model="m", messages=[])
    assert answer.choices[0].message.content == "".join(WORDS)
    assert len(stand_in.keys) == 2
    assert len(set(stand_in.keys)) == 1


@pytest.mark.clients
@pytest.mark.skipif(os.environ.get("RIVERRUN_SKIP_CLIENTS") == "1", reason="RIVERRUN_SKIP_CLIENTS=1")
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_the_sdk_on_httpx(mode: str, loop_thread: Background, stand_in: StandIn, relay: Relay) -> None:
    """openai 2, in an environment of its own: what it gets under cuts is what the SDK here gets without."""
    wanted = [
        {choice["index"]: choice["delta"]["content"] for choice in chunk["choices"]}  # type: ignore[attr-defined]
        for chunk in asking.ask(relay.base_url)[0]["chunks"]
    ]
    stand_in.framing = ""
    places = range(0, ends(stand_in), 7)
    for place in places:
        relay.cuts += [Cut(place, "clean"), WHOLE]
    old = environments.python("openai-python-2", environments.HERE / "openai-python-2" / "requirements.txt")
    command = [str(old), "-W", "error", "-m", "tests.client.asking", mode, relay.base_url, str(len(places))]
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=PROGRAM_LIMIT, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert not relay.cuts
    assert len(answers) == len(places)
    for answer in answers:
        assert answer["error"] == ""
        assert [
            {choice["index"]: choice["delta"]["content"] for choice in chunk["choices"]} for chunk in answer["chunks"]
        ] == wanted


def test_a_server_that_repeats_itself_is_left_when_the_patience_ends(ask: Ask, stand_in: StandIn, relay: Relay) -> None:
    stand_in.repeats = True
    relay.cuts.append(Cut(600))
    (answer,) = ask(relay.base_url, patience=Patience(give_up_after=0.3, first_pause=0.001))
    assert answer["error"]
    assert "".join(WORDS).startswith(text(answer))
    assert len(stand_in.requests) == 2


BAD_EVENTS = {"a number too long": b"id: %b\ndata: {}\n\n" % (b"9" * 5000), "no ASCII": "id: ²\ndata: {}\n\n".encode()}


@pytest.mark.parametrize("event", BAD_EVENTS.values(), ids=BAD_EVENTS)
def test_an_event_of_no_riverrun_is_an_error(ask: Ask, event: bytes, stand_in: StandIn, relay: Relay) -> None:
    stand_in.stops_after, stand_in.last_words = 3, event
    (answer,) = ask(relay.base_url)
    assert answer["error"]
    assert len(stand_in.requests) == 1


def test_a_location_that_is_no_id_is_never_asked(ask: Ask, stand_in: StandIn, relay: Relay) -> None:
    stand_in.location = "/v1/chat/completions/.."
    relay.cuts.append(Cut(600, "reset"))
    (answer,) = ask(relay.base_url)
    assert answer["error"]
    assert [request.line.split()[0] for request in stand_in.requests] == ["POST"]
