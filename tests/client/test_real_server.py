"""The stock SDK, riverrun's client and riverrun itself, over a network that breaks."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

import riverrun
from tests.client.asking import ASKING, SOON
from tests.client.network import Background, Cut, Relay, relaying
from tests.client.real import MODEL, Speaker, riverrun_before
from tests.client.test_stock_sdk import WHOLE, Ask, text

WORDS = [f"Wort {number} 🌊 " for number in range(12)]


@pytest.fixture(scope="module")
def speaker() -> Speaker:
    return Speaker(WORDS)


@pytest.fixture(scope="module")
def port(speaker: Speaker, loop_thread: Background, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with riverrun_before(speaker, loop_thread, tmp_path_factory.mktemp("real")) as served:
        yield served.port


@pytest.fixture
def relay(loop_thread: Background, port: int) -> Iterator[Relay]:
    with loop_thread.entered(relaying(port)) as relay:
        yield relay


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    return ASKING[request.param]


@pytest.mark.parametrize("how", ["clean", "reset"])
def test_a_cut_anywhere_is_unseen(ask: Ask, how: str, speaker: Speaker, relay: Relay) -> None:
    places = range(0, 2400, 97)
    for place in places:
        relay.cuts += [Cut(place, how), WHOLE]  # type: ignore[arg-type]  # one of them
    before = len(speaker.requests)
    answers = ask(relay.base_url, len(places))
    assert not relay.cuts
    assert [(text(answer), answer["error"]) for answer in answers] == [("".join(WORDS), "")] * len(places)
    assert len(speaker.requests) - before == len(places)


def test_twelve_resets_in_one_answer(ask: Ask, speaker: Speaker, relay: Relay) -> None:
    (whole,) = ask(relay.base_url)
    relay.cuts += [Cut(400 + place, "reset") for place in range(0, 600, 50)]
    (answer,) = ask(relay.base_url)
    assert text(answer) == text(whole) == "".join(WORDS)
    assert [len(answer["chunks"]), answer["error"]] == [len(whole["chunks"]), ""]


def test_a_whole_answer_that_is_cut_is_generated_once(speaker: Speaker, relay: Relay) -> None:
    relay.cuts += [Cut(0, "reset"), Cut(300, "reset")]
    before = len(speaker.requests)
    client = riverrun.client(patience=SOON)
    with openai.OpenAI(base_url=relay.base_url, api_key="k", max_retries=0, http_client=client) as sdk:
        answer = sdk.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Hi"}])
    assert answer.choices[0].message.content == "".join(WORDS)
    assert len(speaker.requests) == before + 1
