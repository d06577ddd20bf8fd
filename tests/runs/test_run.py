"""A run from ask to tape, with scripted upstreams on the virtual clock."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterator
from contextlib import suppress

import pytest

from riverrun.backends.contract import Started
from riverrun.backends.scripted import End, Fail, Say, Script, Step, Wait, steps, text
from riverrun.failures import Attempt, Cause, Failure
from riverrun.routing.target import Target
from riverrun.runs.metrics import Metrics
from riverrun.stream.ask import Ask
from riverrun.stream.assembler import Assembler
from riverrun.stream.deltas import Finish, Text, Usage
from riverrun.stream.flow import Cancelled, Finished, Refused, Sink
from riverrun.tapes.own import Own
from riverrun.wire.chunk import DONE
from riverrun.wire.fold import fold
from tests import virtual
from tests.runs.scenes import Scene

HI = Say((Text(0, b'"Hi"'),))
STOP = Say((Finish(0, "stop"),))


async def played(scene: Scene, **parameters: object) -> Own:
    tape = await scene.begin(**parameters)
    await scene.runs.idle()
    return tape


def last_error(tape: Own) -> dict[str, object]:
    error: dict[str, object] = json.loads(tape.payloads()[-1])["error"]
    return error


def test_an_answer_is_on_the_tape_and_folds() -> None:
    async def main() -> None:
        scene = Scene(text("Hello there", pace=1.0))
        tape = await played(scene)
        assert tape.payloads()[-1] == DONE
        whole = await tape.ended()
        assert whole.choices[0].message.content == "Hello there"
        assert (whole.id, whole.created, whole.system_fingerprint) == (tape.head.id, 1694268190, "fp_1")
        (outcome,) = scene.outcomes
        assert outcome.ending == Finished()
        assert outcome.first_content == pytest.approx(1.0)
        assert outcome.seconds == pytest.approx(2.0)

    virtual.run(main())


def test_commit_comes_with_the_first_content() -> None:
    async def main() -> None:
        scene = Scene(text("Hello", pace=5.0))
        tape = await scene.begin()
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert (await tape.committed()).target == "tiny"
        assert loop.time() - began == pytest.approx(5.0)
        await scene.runs.idle()

    virtual.run(main())


def test_a_failure_before_content_is_the_callers_to_hear() -> None:
    async def main() -> None:
        scene = Scene(steps(Wait(1.0), Fail(Failure(Cause.UPSTREAM_BUSY, "busy", retry_after=3.0))))
        tape = await scene.begin()
        with pytest.raises(Failure, match="busy") as caught:
            await tape.committed()
        assert caught.value.attempts == (Attempt("tiny", "upstream_busy"),)
        assert scene.outcomes[0].first_content is None

    virtual.run(main())


def test_a_failure_after_content_is_the_last_event_and_there_is_no_done() -> None:
    async def main() -> None:
        scene = Scene(steps(HI, Fail(Failure(Cause.UPSTREAM_INTERRUPTED, "cut"))))
        tape = await played(scene)
        error = last_error(tape)
        assert (error["code"], error["message"]) == ("upstream_interrupted", "cut")
        assert error["riverrun"] == {
            "request_id": tape.head.id,
            "attempts": [{"target": "tiny", "cause": "upstream_interrupted"}],
            "stream_id": tape.head.id,
            "last_seq": tape.last,
        }
        assert DONE not in tape.payloads()
        with pytest.raises(Failure, match="cut"):
            await tape.ended()

    virtual.run(main())


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        (steps(HI, End()), Cause.UPSTREAM_INTERRUPTED),  # it says it is done, and a choice has no finish_reason
        (steps(HI, Wait(math.inf)), Cause.UPSTREAM_TIMEOUT),
        (steps(Wait(math.inf)), Cause.UPSTREAM_TIMEOUT),
        (steps(Say((Usage(1, 1),)), Wait(29.0), Say(), Wait(math.inf)), Cause.UPSTREAM_TIMEOUT),
        (steps(HI), Cause.UPSTREAM_INTERRUPTED),
    ],
)
def test_a_broken_stream_never_looks_finished(script: Script, cause: Cause) -> None:
    async def main() -> None:
        scene = Scene(script)
        tape = await played(scene)
        ending = scene.outcomes[0].ending
        assert isinstance(ending, Refused)
        assert ending.failure.cause is cause
        assert DONE not in tape.payloads()
        assert last_error(tape)["code"] == cause.value.code

    virtual.run(main())


@pytest.mark.parametrize("rest", [[HI], [Wait(math.inf)], [Fail(Failure(Cause.UPSTREAM_INTERRUPTED, "cut"))]])
@pytest.mark.parametrize("n", [1, 2])
def test_what_comes_after_the_last_finish_reason_is_no_matter(rest: list[Step], n: int) -> None:
    async def main() -> None:
        said = [Say((Text(choice, b'"Hi"'), Finish(choice, "stop"))) for choice in range(n)]
        scene = Scene(steps(*said, *rest))
        tape = await played(scene, n=n)
        assert scene.outcomes[0].ending == Finished()
        assert tape.payloads()[-1] == DONE
        assert [choice.message.content for choice in fold(tape.payloads()).choices] == ["Hi"] * n

    virtual.run(main())


def test_what_came_in_one_read_with_a_fault_is_not_lost() -> None:
    async def main() -> None:
        tape = await played(Scene(steps(Say((Text(0, b'"Hi"'), Text(7, b'"there"'))))))
        assert b'"Hi"' in tape.payloads()[-2]
        assert last_error(tape)["code"] == "upstream_malformed"

    virtual.run(main())


def test_pings_keep_a_silent_answer_alive() -> None:
    async def main() -> None:
        pings = [step for _ in range(10) for step in (Wait(14.0), Say())]
        scene = Scene(steps(HI, *pings, STOP, End()))
        await played(scene)
        assert scene.outcomes[0].ending == Finished()

    virtual.run(main())


class ByHand:
    """An upstream that says what a test lets it say, and when."""

    def __init__(self) -> None:
        self.cancelled = False

    def start(self, ask: Ask, target: Target, sink: Sink, started: Started) -> ByHand:
        self.sink = sink
        started(target, ())
        return self

    def cancel(self) -> None:
        self.cancelled = True


async def by_hand() -> tuple[Scene, ByHand, Own]:
    scene, upstream = Scene(steps()), ByHand()
    scene.upstreams._backends = {"": upstream}
    return scene, upstream, await scene.begin()


def test_the_tail_is_on_the_tape_in_the_same_call_that_brings_the_last_words() -> None:
    async def main() -> None:
        scene, upstream, tape = await by_hand()
        upstream.sink.push([Text(0, b'"Hi"'), Finish(0, "stop")])
        upstream.sink.end(Finished())
        assert tape.payloads()[-1] == DONE
        assert tape.ending == Finished()
        assert scene.outcomes[0].ending == Finished()
        assert scene.runs.running == 0

    virtual.run(main())


def test_a_reader_that_leaves_while_it_is_fed_ends_the_run_only_after_that() -> None:
    class Leaving:
        def __init__(self, tape: Own) -> None:
            self.tape = tape
            self.following = tape.follow(0, self)

        def frames(self, block: bytes, last: int) -> bool:
            self.following.leave()
            assert self.tape.ending is None
            return True

        def ended(self, ending: object) -> None:
            pass

        def broke(self, failure: Failure) -> None:
            pass

    async def main() -> None:
        scene, upstream, tape = await by_hand()
        Leaving(tape).following.more()
        upstream.sink.push([Text(0, b'"Hi"')])
        assert tape.facts is not None
        upstream.sink.push([Text(0, b'" there"')])
        assert len(tape.payloads()) == 2  # the opener and the first words
        await scene.runs.idle()
        assert scene.outcomes[0].ending == Cancelled()
        assert upstream.cancelled

    virtual.run(main())


@pytest.mark.parametrize(("step", "told"), [("push", 0), ("finish", 1)])
def test_a_fault_of_ours_on_the_way_is_told_and_closes_the_tape(
    step: str, told: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    async def main() -> None:
        scene, upstream, tape = await by_hand()
        monkeypatch.setattr(Assembler, step, broken)
        with suppress(RuntimeError):  # whoever reads the socket hears of it too
            upstream.sink.push([Text(0, b'"Hi"'), Finish(0, "stop")])
        upstream.sink.end(Finished())
        assert last_error(tape)["type"] == "server_error"
        assert isinstance(tape.ending, Refused)
        assert tape.ending.failure.cause is Cause.INTERNAL
        assert scene.runs.running == 0
        assert isinstance(scene.outcomes[0].ending, Refused)
        assert [record.message for record in caplog.records] == ["a run failed by a fault of ours"] * told

    virtual.run(main())


def test_a_run_whose_end_can_not_be_counted_ends_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise OSError(28, "no space left")

    async def main() -> None:
        scene = Scene(text("Hi"))
        monkeypatch.setattr(Metrics, "run_ended", broken)
        tape = await played(scene)
        assert tape.payloads()[-1] == DONE
        assert scene.runs.running == 0
        assert scene.outcomes[0].ending == Finished()
        assert [record.message for record in caplog.records] == ["the end of a run could not be counted"]

    virtual.run(main())


def test_when_the_last_reader_leaves_the_upstream_is_cancelled() -> None:
    class Nobody:
        def frames(self, block: bytes, last: int) -> bool:
            return True

        def ended(self, ending: object) -> None:
            pass

        def broke(self, failure: Failure) -> None:
            pass

    async def main() -> None:
        scene = Scene(text("a b c d", pace=10.0))
        tape = await scene.begin()
        following = tape.follow(0, Nobody())
        await tape.committed()
        following.leave()
        await scene.runs.idle()
        (outcome,) = scene.outcomes
        assert outcome.ending == Cancelled()
        assert outcome.seconds == pytest.approx(10.0)
        assert DONE not in tape.payloads()

    virtual.run(main())


def test_a_fan_out_opens_together_and_one_broken_branch_fails_it() -> None:
    def script(ask: Ask) -> Iterator[Step]:
        (choice,) = ask.choices
        yield Wait(float(choice + 1))
        yield Say((Text(choice, b'"x"'),))
        if choice == 1:
            yield Fail(Failure(Cause.UPSTREAM_ERROR, "branch"))
        yield Wait(100.0)

    async def main() -> None:
        scene = Scene(script, n="fan-out")
        tape = await played(scene, n=3)
        opened = [json.loads(payload)["choices"][0]["index"] for payload in tape.payloads()[:3]]
        assert opened == [0, 1, 2]
        assert last_error(tape)["message"] == "branch"
        assert scene.outcomes[0].seconds == pytest.approx(2.0)

    virtual.run(main())


def test_a_fan_outs_usage_has_the_prompt_once() -> None:
    async def main() -> None:
        scene = Scene(text("a b"), n="fan-out")
        whole = await (await played(scene, n=2)).ended()
        assert whole.usage is not None
        assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (1, 4)

    virtual.run(main())


def test_two_runs_have_two_ids_of_128_bits() -> None:
    async def main() -> None:
        scene = Scene(text("a"))
        ids = {(await played(scene)).head.id for _ in range(20)}
        assert len(ids) == 20
        assert all(len(each) == len("chatcmpl-") + 32 for each in ids)

    virtual.run(main())


def test_a_bug_of_ours_is_told_and_closes_the_tape() -> None:
    def script(ask: Ask) -> Iterator[Step]:
        raise RuntimeError("a bug")

    async def main() -> None:
        scene = Scene(script)
        tape = await scene.begin()
        with pytest.raises(Failure, match="fault is ours") as caught:
            await tape.committed()
        assert caught.value.cause is Cause.INTERNAL

    virtual.run(main())
