"""Going on with a dead owner's answer: whatever of it is on the tape, the whole stream reads as if nobody had died."""

import asyncio
import json
from collections.abc import Coroutine, Iterable, Iterator

import msgspec
import pytest

from riverrun.backends.scripted import End, Fail, Say, Script, Step, Wait, steps
from riverrun.failures import Cause, Failure
from riverrun.routing.model import Model
from riverrun.routing.target import Target
from riverrun.store.contract import Attempted, Settled
from riverrun.stream.ask import Ask
from riverrun.stream.continued import partial
from riverrun.stream.deltas import Delta, Finish, Reasoning, Text, ToolArgs, ToolOpen, Usage
from riverrun.stream.flow import Cancelled, Finished, Refused
from riverrun.tapes.contract import Committed, Head, Policy, Taken
from riverrun.tapes.own import Own
from riverrun.wire.chunk import DONE
from riverrun.wire.sse import frame
from tests import virtual
from tests.runs.scenes import Scene, target
from tests.tapes.kept import in_memory
from tests.tapes.reader import Reader

REQUEST: dict[str, object] = {
    "model": "tiny",
    "messages": [{"role": "user", "content": "hi"}],
    "stream": True,
    "stream_options": {"include_usage": True},
}
ID, CREATED = "chatcmpl-f5b165224a58b791df6af1d8303e61cd", 1694268190
WORDS = ["one", " two", " three", " four"]
CUT = Fail(Failure(Cause.UPSTREAM_INTERRUPTED, "cut"))
ANYONE = Model("tiny", (), retries=0, continues="any")


def play(main: Coroutine[object, object, None]) -> None:
    virtual.run(main)


def say(*deltas: Delta) -> Say:
    return Say(deltas)


def words(ask: Ask) -> Iterator[Step]:
    """The same words in each choice that is asked for; one that begins with some of them goes on after them."""
    for word in WORDS:
        yield say(*(Text(choice, json.dumps(word).encode()) for choice in ask.choices))
    yield say(*(Finish(choice, "stop") for choice in ask.choices), Usage(5, len(WORDS) * len(ask.choices)))
    yield End()


def rest(ask: Ask) -> Iterator[Step]:
    """Goes on after the words that it is given."""
    left = "".join(WORDS).removeprefix(ask.prefill)
    yield say(Text(ask.choices[0], json.dumps(left).encode()))
    yield say(Finish(ask.choices[0], "stop"), Usage(9, 2))
    yield End()


def call(ask: Ask) -> Iterator[Step]:
    if not ask.prefill:
        yield say(Reasoning(0, b'"hm"'))
        yield say(Text(0, b'"look"'))
    yield say(ToolOpen(0, 0, "call_1", "f"))
    for piece in ('{"a":', "1,", '"b":2}'):
        yield say(ToolArgs(0, 0, json.dumps(piece).encode()))
    yield say(Finish(0, "tool_calls"), Usage(5, 9))
    yield End()


def scene(script: Script, *others: tuple[Target, Script], **facts: object) -> Scene:
    return Scene(script, *others, model=ANYONE, fingerprint="fp_1", **facts)  # type: ignore[arg-type]  # a target's


async def answered(script: Script, request: dict[str, object]) -> list[bytes]:
    """What an owner that lives writes: the answer to the first request of a scene."""
    first = scene(script)
    tape = await first.begin(**request)
    await first.runs.idle()
    assert (tape.head.id, tape.head.created) == (ID, CREATED)
    return tape.payloads()


async def orphan(
    where: Scene, payloads: list[bytes], request: dict[str, object], *, facts: bool = True, **more: object
) -> Own:
    """The tape of a dead owner, which wrote this much of it."""
    raw = msgspec.Raw(json.dumps(request).encode())
    head = Head(ID, CREATED, "local", raw, **more)  # type: ignore[arg-type]  # each test's own
    tape = await where.tapes.create(head, lambda signal: None)
    assert isinstance(tape, Own)
    tape.head = head  # with its request, which tapes in memory need not keep
    if payloads:
        block = b"".join(frame(number, payload) for number, payload in enumerate(payloads, 1))
        tape.blocks.add(block, len(payloads))
        tape.restored(len(payloads), 2)
        if facts:
            tape.began(Committed("tiny"))
    return tape


async def adopted(where: Scene, tape: Own) -> Reader:
    tape.listener = where.runs.adopt(tape)
    reader = Reader().on(tape)
    await reader.done()
    await where.runs.idle()
    assert [int(line[4:]) for line in reader.bytes.split(b"\n") if line.startswith(b"id: ")] == list(
        range(1, tape.written + 1)
    )
    return reader


def content(payloads: Iterable[bytes]) -> dict[int, str]:
    said: dict[int, str] = {}
    for payload in payloads:
        if payload != DONE:
            for choice in json.loads(payload).get("choices", ()):
                said[choice["index"]] = said.get(choice["index"], "") + (choice["delta"].get("content") or "")
    return said


@pytest.mark.parametrize("facts", [True, False])
@pytest.mark.parametrize("request_", [REQUEST, {**REQUEST, "n": 3}], ids=["one", "three"])
def test_said_again_it_is_the_same_stream_wherever_it_was_cut(request_: dict[str, object], facts: bool) -> None:
    """Before content, in the openers, in the words, between the endings, before the usage, before [DONE], after it."""

    async def main() -> None:
        full = await answered(words, request_)
        for cut in range(len(full) + 1):
            again = scene(words, deterministic=True)
            reader = await adopted(again, await orphan(again, full[:cut], request_, facts=facts, seed=11))
            tape = again.tapes._tapes[next(iter(again.tapes._tapes))]
            assert reader.endings == [Finished()]
            assert tape.payloads()[:cut] == full[:cut]
            if cut in (0, len(full) - 1, len(full)) or "n" not in request_:
                assert [_without_usage(each) for each in tape.payloads()] == [_without_usage(each) for each in full]
            assert content(tape.payloads()) == content(full)
            assert tape.payloads().count(DONE) == 1
            whole = await tape.ended()
            assert [choice.finish_reason for choice in whole.choices] == ["stop"] * len(content(full))
            assert whole.usage is not None
            assert whole.usage.completion_tokens >= len(WORDS)
            usages = [each for each in tape.payloads() if b'"choices":[]' in each]
            assert len(usages) == 1
            assert {ask.chat.request.seed for ask in again.asks} <= {11}

    play(main())


def _without_usage(payload: bytes) -> object:
    return payload if payload == DONE else {**json.loads(payload), "usage": None}


@pytest.mark.parametrize("mine", [True, False])
def test_gone_on_with_by_prefill(mine: bool) -> None:
    async def main() -> None:
        full = await answered(words, REQUEST)
        for cut in range(2, 6):
            other = (target("other", prefill=True), rest)
            again = scene(rest, prefill=True) if mine else scene(steps(CUT), other)
            tape = await orphan(again, full[:cut], REQUEST)
            reader = await adopted(again, tape)
            assert reader.endings == [Finished()]
            assert content(tape.payloads()) == content(full)
            assert again.asks[0].prefill
            usage = (await tape.ended()).usage
            assert usage is not None
            assert usage.completion_tokens == cut - 1 + 2  # what was seen, and what came

    play(main())


@pytest.mark.parametrize("deterministic", [True, False])
def test_a_tool_call_is_whole_or_the_stream_is_broken(deterministic: bool) -> None:
    """X13."""

    async def main() -> None:
        full = await answered(call, REQUEST)
        for cut in range(1, len(full) + 1):
            again = scene(call, deterministic=deterministic, prefill=True)
            tape = await orphan(again, full[:cut], REQUEST)
            reader = await adopted(again, tape)
            if isinstance(reader.endings[0], Finished):
                message = (await tape.ended()).choices[0].message
                assert message.tool_calls is not None
                assert [each.function.arguments for each in message.tool_calls] == ['{"a":1,"b":2}']
                assert (message.reasoning_content, message.content) == ("hm", "look")
            else:
                assert not deterministic
                assert json.loads(tape.payloads()[-1])["error"]["code"] == "upstream_interrupted"
                assert DONE not in tape.payloads()
                assert tape.payloads()[:cut] == full[:cut]

    play(main())


def test_one_choice_of_three_had_finished() -> None:
    def uneven(ask: Ask) -> Iterator[Step]:
        for choice in ask.choices:
            for word in WORDS:
                yield say(Text(choice, json.dumps(word).encode()))
            yield say(Finish(choice, "stop"))
        yield End()

    async def main() -> None:
        request = {**REQUEST, "n": 3}
        full = await answered(uneven, request)
        cut = next(number for number, each in enumerate(full) if b'"finish_reason":"stop"' in each) + 2
        again = scene(uneven, deterministic=True, n="fan-out")
        tape = await orphan(again, full[:cut], request, seed=40)
        assert (await adopted(again, tape)).endings == [Finished()]
        assert content(tape.payloads()) == dict.fromkeys(range(3), "".join(WORDS))
        assert [(ask.choices, ask.chat.request.seed) for ask in again.asks] == [((1,), 41), ((2,), 42)]

    play(main())


def test_nobody_can_go_on() -> None:
    async def main() -> None:
        full = await answered(words, REQUEST)
        again = scene(words)
        tape = await orphan(again, full[:3], REQUEST)
        reader = await adopted(again, tape)
        assert isinstance(reader.endings[0], Refused)
        error = json.loads(tape.payloads()[-1])["error"]
        assert error["code"] == "upstream_interrupted"
        assert error["riverrun"]["attempts"] == [{"target": "tiny", "cause": "owner_died"}]
        assert error["riverrun"]["last_seq"] == tape.last == 4
        with pytest.raises(Failure):
            await tape.ended()

    play(main())


@pytest.mark.parametrize("said", [0, 3])
@pytest.mark.parametrize("request_", [{**REQUEST, "model": "gone"}, {"model": "tiny"}], ids=["model", "request"])
def test_what_cannot_be_begun_ends_with_an_error(request_: dict[str, object], said: int) -> None:
    async def main() -> None:
        full = await answered(words, REQUEST)
        again = scene(words, deterministic=True)
        tape = await orphan(again, full[:said], request_)
        reader = await adopted(again, tape)
        assert isinstance(reader.endings[0], Refused)
        assert json.loads(tape.payloads()[-1])["error"]["code"] == "upstream_interrupted"
        assert again.asks == []

    play(main())


def test_words_of_a_target_that_is_no_longer_known() -> None:
    async def main() -> None:
        full = await answered(words, REQUEST)
        again = Scene(words, model=ANYONE, fingerprint="fp_2", deterministic=True)
        tape = await orphan(again, full[:3], REQUEST, facts=False)
        assert isinstance((await adopted(again, tape)).endings[0], Refused)

    play(main())


def test_a_tape_that_holds_no_stream_ends_with_an_error() -> None:
    async def main() -> None:
        full = await answered(words, REQUEST)
        again = scene(words, deterministic=True)
        broken = [full[0], b'{"id":"x","created":1,"nonsense":true}', full[2]]
        tape = await orphan(again, broken, REQUEST)
        assert isinstance((await adopted(again, tape)).endings[0], Refused)

    play(main())


def test_after_an_error_frame_it_ends_with_that_failure() -> None:
    async def main() -> None:
        failing: list[Step] = [say(Text(0, b'"one"')), Fail(Failure(Cause.UPSTREAM_TIMEOUT, "silent"))]
        full = await answered(steps(*failing), REQUEST)
        again = scene(words)
        tape = await orphan(again, full, REQUEST)
        reader = await adopted(again, tape)
        assert tape.payloads() == full
        assert isinstance(reader.endings[0], Refused)
        with pytest.raises(Failure) as raised:
            await tape.ended()
        failure = raised.value
        assert (failure.cause, failure.status, failure.message) == (Cause.UPSTREAM_TIMEOUT, 504, "silent")
        assert again.asks == []

    play(main())


def test_after_done_a_caller_that_waits_still_gets_its_usage() -> None:
    async def main() -> None:
        request = {**REQUEST, "stream": False, "stream_options": None}
        full = await answered(words, request)
        again = scene(words)
        tape = await orphan(again, full, request)
        await adopted(again, tape)
        usage = (await tape.ended()).usage
        assert usage is not None
        assert usage.completion_tokens >= len(WORDS)

    play(main())


ENDLESS = steps(*[step for _ in range(400) for step in (say(Text(0, b'"x"')), Wait(1.0))])


@pytest.mark.parametrize(("policy", "ends"), [("cancel", 30.0), ("grace", 30.0), ("finish", 400.0)])
@pytest.mark.parametrize("said", [True, False])
def test_nobody_reads_it_any_more(policy: Policy, ends: float, said: bool) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        full = (await answered(ENDLESS, REQUEST))[:1] if said else []
        again = scene(ENDLESS, deterministic=True)
        tape = await orphan(again, full, REQUEST, facts=False, policy=policy)
        began = loop.time()
        tape.listener = again.runs.adopt(tape)
        await again.runs.idle()
        assert loop.time() - began == pytest.approx(ends, abs=2.0)
        assert isinstance(tape.ending, Refused if policy == "finish" else Cancelled)

    play(main())


def test_a_reader_that_comes_within_grace_gets_everything() -> None:
    async def main() -> None:
        said = [step for word in WORDS for step in (say(Text(0, json.dumps(word).encode())), Wait(14.0))]
        slow = steps(*said, say(Finish(0, "stop")), End())
        full = await answered(slow, REQUEST)
        again = scene(slow, deterministic=True)
        tape = await orphan(again, full[:2], REQUEST)
        tape.listener = again.runs.adopt(tape)
        await asyncio.sleep(29.0)
        reader = Reader().on(tape, 2)
        await reader.done()
        assert reader.endings == [Finished()]
        assert content(tape.payloads()) == content(full)

    play(main())


def test_a_reader_that_came_before_the_run_is_not_forgotten() -> None:
    async def main() -> None:
        again = scene(ENDLESS, deterministic=True)
        tape = await orphan(again, [], REQUEST, policy="cancel")
        tape.listener = again.runs.adopt(tape)
        reader = Reader().on(tape)
        await asyncio.sleep(100.0)
        assert reader.endings == []
        reader.following.leave()
        await again.runs.idle()
        assert tape.ending == Cancelled()

    play(main())


def test_signed_thoughts_of_another_process_come_with_the_request() -> None:
    async def main() -> None:
        tapes = in_memory()
        calls = [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
        messages = [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "tool_call_id": "call_1", "content": "1"},
        ]
        await tapes.note("thought 5 local call_1", b'{"reasoning_details":[{"signature":"s"}]}', 10.0)
        again = Scene(words, tapes=tapes)
        tape = await orphan(again, [], {**REQUEST, "messages": messages})
        assert (await adopted(again, tape)).endings == [Finished()]
        assert b'"signature"' in json.dumps(again.asks[0].chat.body).encode()

    play(main())


def test_the_key_of_what_failed_before_content_is_free() -> None:
    async def main() -> None:
        again = scene(steps(CUT))
        tape = await orphan(again, [], REQUEST, key="k" * 64)
        await adopted(again, tape)
        assert not isinstance(
            await again.tapes.create(Head("c2", 7, "local", key="k" * 64), lambda signal: None), Taken
        )

    play(main())


@pytest.mark.parametrize("cut", [0, 3, 7])
@pytest.mark.parametrize("model", ["tiny", "gone"])
def test_the_attempt_of_the_dead_owner_is_settled_once(model: str, cut: int) -> None:
    """V5: whether its answer goes on, had ended already, or can't be gone on with."""

    async def main() -> None:
        full = await answered(words, REQUEST)
        again = scene(words, deterministic=True)
        again.ledger.attempt(Attempted(ID, 1, "tiny", 0.0))
        tape = await orphan(again, full[:cut] if cut < 7 else full, {**REQUEST, "model": model})
        await adopted(again, tape)
        settled = [(row.number, row.ending, row.source) for row in again.ledger.settled]
        assert settled[0] == (1, "owner_died", "estimated")
        assert len(settled) == len(again.ledger.attempted)
        assert again.ledger.open_attempts(ID) == []

    play(main())


@pytest.mark.parametrize(("repeats", "spent"), [(False, [2, 2]), (True, [2, 4])])
def test_what_settled_attempts_said_is_not_charged_to_the_dead_owner_again(repeats: bool, spent: list[int]) -> None:
    """The first attempt said two words and was settled; the second went on with them, or said them again."""

    async def main() -> None:
        full = await answered(words, REQUEST)
        again = scene(words, deterministic=repeats, prefill=True)
        again.ledger.attempt(Attempted(ID, 1, "tiny", 0.0))
        again.ledger.settle(Settled(ID, 1, "upstream_interrupted", 3, 2, 0, 0, "counted", 0.0))
        again.ledger.attempt(Attempted(ID, 2, "tiny", 0.0))
        cut = next(k for k in range(9) if partial(full[:k], 0).deltas == 4)
        await adopted(again, await orphan(again, full[:cut], REQUEST))
        rows = {row.number: row for row in again.ledger.settled}
        assert [rows[1].completion_tokens, rows[2].completion_tokens] == spent
        assert rows[2].prompt_tokens > 0

    play(main())
