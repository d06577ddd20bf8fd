"""clients/riverrun.mjs under the stock openai-node, over real sockets that break."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import TypedDict

import pytest

from tests.client.network import Background, Cut, How, Relay
from tests.client.stand_in import WORDS, StandIn, payloads
from tests.client.test_stock_sdk import GOING_DOWN, WHOLE, ends
from tests.clients import environments

WRAPPER = Path(__file__).parents[2] / "clients" / "riverrun.mjs"
PROGRAM_LIMIT = 60.0
ALL = "".join(WORDS)

pytestmark = [
    pytest.mark.clients,
    pytest.mark.skipif(os.environ.get("RIVERRUN_SKIP_CLIENTS") == "1", reason="RIVERRUN_SKIP_CLIENTS=1"),
]


class Answer(TypedDict):
    deltas: list[dict[str, str]]
    error: str


@pytest.fixture(scope="module")
def program() -> list[str]:
    node, run = environments.command("openai-node")
    return [node, str(Path(run).with_name("resuming.mjs")), str(WRAPPER)]


def ask(program: list[str], base_url: str, count: int = 1, **options: object) -> list[Answer]:
    command = [*program, base_url, str(count), json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PROGRAM_LIMIT, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def text(answer: Answer) -> str:
    return "".join(delta.get("content", "") for delta in answer["deltas"])


@pytest.mark.parametrize("framing", ["transfer-encoding: chunked", ""], ids=["chunked", "until-eof"])
def test_a_cut_at_every_byte_is_unseen(program: list[str], framing: str, stand_in: StandIn, relay: Relay) -> None:
    stand_in.framing = framing
    stand_in.more = ["connection: close"]
    stand_in.told = payloads(["Grüße 🌊"])
    places = ends(stand_in)
    for place in range(places):
        relay.cuts += [Cut(place), WHOLE]
    answers = ask(program, relay.base_url, places)
    assert not relay.cuts
    wrong = [(place, answer) for place, answer in enumerate(answers) if text(answer) != "Grüße 🌊" or answer["error"]]
    assert wrong == []
    assert len(set(stand_in.keys)) == places


def test_twelve_resets_in_one_answer(program: list[str], stand_in: StandIn, relay: Relay) -> None:
    words = [f"Wort {number} 🌊 " for number in range(100)]
    stand_in.told = payloads(words)
    relay.cuts += [Cut(place, "reset") for place in range(0, 600, 50)]
    (answer,) = ask(program, relay.base_url)
    assert not relay.cuts
    assert text(answer) == "".join(words)


def test_a_server_that_is_away_and_a_proxy_that_says_so(program: list[str], stand_in: StandIn, relay: Relay) -> None:
    stand_in.unavailable = ["503 Service Unavailable", "502 Bad Gateway", "429 Too Many Requests"]
    relay.cuts.append(Cut(600))
    (answer,) = ask(program, relay.base_url)
    assert (text(answer), answer["error"]) == (ALL, "")
    assert stand_in.unavailable == []


def test_a_server_that_is_not_there_yet(
    program: list[str], loop_thread: Background, stand_in: StandIn, relay: Relay
) -> None:
    loop_thread.run(relay.vanish())
    answers: list[Answer] = []
    talking = threading.Thread(target=lambda: answers.extend(ask(program, relay.base_url, firstContact=20_000)))
    talking.start()
    loop_thread.run(relay.listen())
    talking.join(PROGRAM_LIMIT)
    assert [text(answer) for answer in answers] == [ALL]


@pytest.mark.parametrize("status", ["404 Not Found", "410 Gone", "204 No Content"])
@pytest.mark.parametrize("how", ["clean", "reset"])
def test_an_answer_that_is_gone_never_looks_finished(
    program: list[str], status: str, how: How, stand_in: StandIn, relay: Relay
) -> None:
    stand_in.unavailable = [status]
    stand_in.framing = ""
    relay.cuts.append(Cut(600, how))
    (answer,) = ask(program, relay.base_url)
    assert answer["error"]
    assert ALL.startswith(text(answer))


def test_the_sdks_own_retries_have_the_same_key(program: list[str], stand_in: StandIn, relay: Relay) -> None:
    stand_in.refusals = ["503 Service Unavailable", "429 Too Many Requests"]
    answers = ask(program, relay.base_url, 2, retries=2)
    assert [text(answer) for answer in answers] == [ALL] * 2
    first, second, third, next_request = stand_in.keys
    assert first == second == third != next_request
    assert len(first) == 32


def test_an_error_in_the_stream_is_the_end(program: list[str], stand_in: StandIn, relay: Relay) -> None:
    stand_in.told[3:] = [b'{"error":{"message":"no more","type":"server_error","param":null,"code":null}}']
    (answer,) = ask(program, relay.base_url)
    assert answer["error"] == "APIError"
    assert len(stand_in.requests) == 1


@pytest.mark.parametrize(("next_status", "error"), [([], ""), (["404 Not Found"], "APIError")])
def test_an_error_without_a_number_asks_to_come_back(
    program: list[str], next_status: list[str], error: str, stand_in: StandIn, relay: Relay
) -> None:
    stand_in.stops_after, stand_in.last_words = 3, GOING_DOWN
    stand_in.unavailable = next_status
    (answer,) = ask(program, relay.base_url)
    assert answer["error"] == error
    assert (text(answer) == ALL) is not bool(error)


def test_silence_on_an_open_connection_is_a_break(program: list[str], stand_in: StandIn, relay: Relay) -> None:
    relay.cuts.append(Cut(600, "silent"))
    (answer,) = ask(program, relay.base_url, silentAfter=300)
    assert text(answer) == ALL


def test_the_users_own_timeout_is_kept(program: list[str], stand_in: StandIn, relay: Relay) -> None:
    relay.cuts.append(Cut(0, "silent"))
    (answer,) = ask(program, relay.base_url, timeout=300)
    assert answer["error"] == "APIConnectionTimeoutError"
    assert len(stand_in.requests) == 1


def test_another_server_is_left_alone(program: list[str], stand_in: StandIn, relay: Relay) -> None:
    stand_in.is_riverrun = False
    relay.cuts += [WHOLE, Cut(400, "reset")]
    whole, cut = ask(program, relay.base_url, 2)
    assert text(whole) == ALL
    assert cut["error"]
    assert [request.line.split()[0] for request in stand_in.requests] == ["POST", "POST"]


def test_a_whole_answer_that_breaks_is_asked_for_again_by_its_key(
    program: list[str], stand_in: StandIn, relay: Relay
) -> None:
    relay.cuts += [Cut(0), Cut(250, "reset")]
    (answer,) = ask(program, relay.base_url, whole=True)
    assert text(answer) == ALL
    assert len(stand_in.keys) == 3
    assert len(set(stand_in.keys)) == 1


def test_leaving_early_closes_the_connection(
    program: list[str], loop_thread: Background, stand_in: StandIn, relay: Relay
) -> None:
    stand_in.stops_after = 3
    command = [*program, relay.base_url, "1", json.dumps({"leave": True})]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert json.loads(running.stdout.readline())["error"] == ""
        loop_thread.run(relay.quiet())
        assert running.poll() is None
    assert len(stand_in.requests) == 1


def test_a_server_that_repeats_itself_is_left_when_the_patience_ends(
    program: list[str], stand_in: StandIn, relay: Relay
) -> None:
    stand_in.repeats = True
    relay.cuts.append(Cut(600))
    (answer,) = ask(program, relay.base_url, giveUpAfter=300)
    assert answer["error"]
    assert ALL.startswith(text(answer))
    assert len(stand_in.requests) == 2


BAD_EVENTS = {"a number too long": b"id: %b\ndata: {}\n\n" % (b"9" * 5000), "no ASCII": "id: ²\ndata: {}\n\n".encode()}


@pytest.mark.parametrize("event", BAD_EVENTS.values(), ids=BAD_EVENTS)
def test_an_event_of_no_riverrun_is_an_error(program: list[str], event: bytes, stand_in: StandIn, relay: Relay) -> None:
    stand_in.stops_after, stand_in.last_words = 3, event
    (answer,) = ask(program, relay.base_url)
    assert answer["error"]
    assert len(stand_in.requests) == 1


def test_a_location_that_is_no_id_is_never_asked(program: list[str], stand_in: StandIn, relay: Relay) -> None:
    stand_in.location = "/v1/chat/completions/.."
    relay.cuts.append(Cut(600, "reset"))
    (answer,) = ask(program, relay.base_url)
    assert answer["error"]
    assert [request.line.split()[0] for request in stand_in.requests] == ["POST"]


@pytest.mark.parametrize("longest", [15, 17], ids=lambda size: f"{size} MiB")
def test_an_event_has_a_largest_size(program: list[str], longest: int, stand_in: StandIn, relay: Relay) -> None:
    stand_in.told = payloads(["x" * (longest << 20)])
    (answer,) = ask(program, relay.base_url)
    assert bool(answer["error"]) is (longest > 16)
    assert len(text(answer)) == (0 if longest > 16 else longest << 20)
