"""Beginning runs, and the end of the server under them."""

import asyncio
import json

import pytest

from riverrun.backends.scripted import Fail, Wait, steps, text
from riverrun.failures import Cause, Failure
from riverrun.runs.intent import Intent
from riverrun.runs.runs import Grant
from riverrun.stream.flow import Cancelled
from tests import virtual
from tests.runs.scenes import Scene, chat


def test_an_unknown_model_is_a_404() -> None:
    async def main() -> None:
        scene = Scene(text("a"))
        with pytest.raises(Failure, match="`huge` does not exist") as caught:
            await scene.runs.begin(chat(model="huge"), Grant())
        assert (caught.value.status, caught.value.code, caught.value.param) == (404, "model_not_found", None)

    virtual.run(main())


def test_while_it_drains_nothing_new_begins_and_what_runs_goes_on() -> None:
    async def main() -> None:
        scene = Scene(text("a b c", pace=1.0))
        tape = await scene.begin()
        scene.runs.draining = True
        with pytest.raises(Failure, match="shutting down") as caught:
            await scene.begin()
        assert (caught.value.cause, caught.value.retry_after) == (Cause.OVERLOADED, 1.0)
        assert scene.runs.running == 1
        await scene.runs.idle()
        assert (await tape.ended()).choices[0].finish_reason == "stop"
        assert scene.runs.running == 0

    virtual.run(main())


def test_who_goes_on_with_a_stream_that_is_not_here_has_nobody_asked_for_another() -> None:
    async def main() -> None:
        scene = Scene(text("a"))
        begun = await scene.runs.begin(chat(), Grant(), b"{}", Intent(key="k", resumes=True))
        await scene.runs.idle()
        assert scene.asks == []
        assert scene.outcomes[0].ending == Cancelled()
        assert begun.tape.last == 0
        again = await scene.runs.begin(chat(), Grant(), b"{}", Intent(key="k"))
        assert again.tape.head.id != begun.tape.head.id
        await scene.runs.idle()

    virtual.run(main())


def test_an_interrupted_run_tells_its_reader() -> None:
    async def main() -> None:
        scene = Scene(text("a b c", pace=1.0))
        tape = await scene.begin()
        await tape.committed()
        scene.runs.interrupt()
        await scene.runs.idle()
        assert json.loads(tape.payloads()[-1])["error"]["code"] == "upstream_interrupted"

    virtual.run(main())


def test_obfuscation_pads_every_chunk() -> None:
    async def main() -> None:
        scene = Scene(text("one three eleven"))
        tape = await scene.begin(stream=True, stream_options={"include_obfuscation": True, "include_usage": True})
        await scene.runs.idle()
        chunks = tape.payloads()[:-1]
        assert all(json.loads(chunk)["obfuscation"] for chunk in chunks)
        texts = [len(chunk) % 64 for chunk in chunks if b'"delta":{"content"' in chunk]
        assert len(texts) == 3
        assert len(set(texts)) == 1

    virtual.run(main())


def test_functions_get_function_calls() -> None:
    async def main() -> None:
        scene = Scene(text("plain"))
        tape = await scene.begin(functions=[{"name": "f"}])
        await scene.runs.idle()
        assert (await tape.ended()).choices[0].finish_reason == "stop"

    virtual.run(main())


@pytest.mark.parametrize("key", ["", "k"])
def test_who_is_cancelled_while_he_waits_for_a_run_takes_nothing_with_him(
    key: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        scene = Scene(steps(Wait(1.0), Fail(Failure(Cause.BAD_REQUEST, "no"))) if key else text("a b", pace=1.0))
        begun = await scene.runs.begin(chat(stream=True), Grant(), intent=Intent(key=key or None))
        assert begun.outcome is not None
        begun.outcome.cancel()
        idle = asyncio.ensure_future(scene.runs.idle())
        await asyncio.sleep(0.5)
        assert not idle.done()
        await idle
        assert scene.runs.running == 0
        assert begun.tape.ending is not None
        assert not caplog.records

    virtual.run(main())
