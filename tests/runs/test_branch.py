"""Failover and continuing, with scripted targets on the virtual clock."""

import asyncio
import json
import math
from collections.abc import Iterator

import pytest

from riverrun.backends.scripted import End, Fail, Say, Script, Step, Wait, steps, text
from riverrun.failures import Attempt, Cause, Failure
from riverrun.routing.model import Model
from riverrun.routing.target import Target
from riverrun.stream.ask import Ask
from riverrun.stream.deltas import Finish, Reasoning, Text, ToolArgs, ToolOpen, Usage
from riverrun.stream.flow import Finished, Refused
from riverrun.tapes.own import Own
from riverrun.wire.chunk import DONE
from riverrun.wire.fold import fold
from tests import virtual
from tests.runs.scenes import Scene, target

ONCE = Model("tiny", (), retries=1)
HELLO = text("Hello there my friend")
BROKEN = Fail(Failure(Cause.UPSTREAM_INTERRUPTED, "cut"))


def fails(cause: Cause = Cause.UPSTREAM_ERROR, retry_after: float | None = None) -> Step:
    return Fail(Failure(cause, cause.name, retry_after=retry_after))


def says(*words: str) -> list[Step]:
    return [Say((Text(0, json.dumps(word).encode()),)) for word in words]


class Log:
    """Plays one script after another, and remembers what it was asked and when."""

    def __init__(self, *scripts: Script) -> None:
        self.asked: list[Ask] = []
        self._scripts = list(scripts)

    def __call__(self, ask: Ask) -> Iterator[Step]:
        self.asked.append(ask)
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        return iter(script(ask))


def answered(tape: Own) -> str:
    return fold(tape.payloads()).choices[0].message.content or ""


def played(scene: Scene, **parameters: object) -> Own:
    async def main() -> Own:
        tape = await scene.begin(**parameters)
        await scene.runs.idle()
        return tape

    return virtual.run(main())


@pytest.mark.parametrize(
    "cause",
    [Cause.UPSTREAM_ERROR, Cause.UPSTREAM_UNREACHABLE, Cause.UPSTREAM_BUSY, Cause.UPSTREAM_AUTH, Cause.OVERLOADED],
)
def test_before_content_a_failure_goes_to_the_next_target_unseen(cause: Cause) -> None:
    first, second = Log(steps(Wait(1.0), fails(cause))), Log(HELLO)
    scene = Scene(first, (target("two"), second))
    tape = played(scene)
    assert answered(tape) == "Hello there my friend"
    assert json.loads(tape.payloads()[0])["model"] == "two"
    assert scene.outcomes[0].target == "two"
    assert (len(first.asked), len(second.asked)) == (1, 1)


@pytest.mark.parametrize("cause", [Cause.BAD_REQUEST, Cause.CONTENT_POLICY])
def test_a_fault_of_the_client_goes_nowhere_else(cause: Cause) -> None:
    second = Log(HELLO)
    scene = Scene(steps(fails(cause)), (target("two"), second))
    played(scene)
    ending = scene.outcomes[0].ending
    assert isinstance(ending, Refused)
    assert ending.failure.cause is cause
    assert ending.failure.attempts == ()
    assert second.asked == []


@pytest.mark.parametrize("cause", [Cause.CONTENT_POLICY, Cause.CONTEXT_TOO_LONG, Cause.UPSTREAM_BUSY])
def test_a_cause_with_fallbacks_goes_to_them_and_past_the_rest(cause: Cause) -> None:
    rest, gone, last = Log(HELLO), Log(steps(fails())), Log(HELLO)
    named = (target("three"), target("four"))
    scene = Scene(
        steps(fails(cause)),
        (target("two"), rest),
        model=Model("tiny", (), fallbacks={cause: named}),
        named=((named[0], gone), (named[1], last)),
    )
    tape = played(scene)
    assert answered(tape) == "Hello there my friend"
    assert json.loads(tape.payloads()[0])["model"] == "four"
    assert (len(rest.asked), len(gone.asked), len(last.asked)) == (0, 1, 1)


def test_a_fallback_that_breaks_in_its_answer_says_it_again_itself() -> None:
    named = target("two", deterministic=True)
    log = Log(steps(*says("Hel"), BROKEN), steps(*says("Hello"), Say((Finish(0, "stop"),)), End()))
    model = Model("tiny", (), fallbacks={Cause.CONTENT_POLICY: (named,)})
    scene = Scene(steps(fails(Cause.CONTENT_POLICY)), model=model, named=((named, log),))
    assert answered(played(scene)) == "Hello"
    assert len(log.asked) == 2


def test_a_fallback_that_can_not_give_several_choices_at_once_gets_them_one_by_one() -> None:
    def each(ask: Ask) -> Iterator[Step]:
        yield Say(tuple(Text(choice, b'"hi"') for choice in ask.choices))
        yield Say(tuple(Finish(choice, "stop") for choice in ask.choices))
        yield End()

    named, log = target("two", n="fan-out"), Log(each)
    model = Model("tiny", (), fallbacks={Cause.CONTENT_POLICY: (named,)})
    scene = Scene(steps(fails(Cause.CONTENT_POLICY)), model=model, named=((named, log),))
    assert [choice.message.content for choice in fold(played(scene, n=2).payloads()).choices] == ["hi", "hi"]
    assert [ask.choices for ask in log.asked] == [(0,), (1,)]


def test_a_retry_waits_a_little_and_not_for_ever() -> None:
    log = Log(steps(fails()), HELLO)
    scene = Scene(log, model=ONCE)
    assert answered(played(scene)) == "Hello there my friend"
    assert len(log.asked) == 2
    assert 0 < scene.outcomes[0].seconds < 1.0


def test_retry_after_is_honoured() -> None:
    log = Log(steps(fails(Cause.UPSTREAM_BUSY, 7.0)), HELLO)
    scene = Scene(log, model=ONCE)
    assert answered(played(scene)) == "Hello there my friend"
    assert scene.outcomes[0].seconds == pytest.approx(7.0)


def test_a_silent_target_is_left_at_its_deadline_and_not_asked_again() -> None:
    silent, second = Log(steps(Wait(math.inf))), Log(HELLO)
    scene = Scene(silent, (target("two"), second), model=ONCE)
    assert answered(played(scene)) == "Hello there my friend"
    assert len(silent.asked) == 1
    assert scene.outcomes[0].seconds == pytest.approx(30.0)


def test_when_all_fail_the_first_failure_is_told_with_every_attempt() -> None:
    scene = Scene(
        steps(fails(Cause.UPSTREAM_ERROR)),
        (target("two"), steps(fails(Cause.UPSTREAM_BUSY))),
        (target("three"), steps(fails(Cause.UPSTREAM_UNREACHABLE))),
    )
    played(scene)
    ending = scene.outcomes[0].ending
    assert isinstance(ending, Refused)
    assert ending.failure.cause is Cause.UPSTREAM_ERROR
    assert ending.failure.attempts == (
        Attempt("tiny", "upstream_error"),
        Attempt("two", "upstream_busy"),
        Attempt("three", "upstream_unreachable"),
    )


def test_a_target_that_is_down_is_passed_over_and_probed_later() -> None:
    first, second = Log(steps(fails())), Log(HELLO)

    async def main() -> list[int]:
        scene = Scene(first, (target("two"), second))
        asked = []
        for pause in (0, 0, 0, 0, 0, 0, 0, 6):
            await asyncio.sleep(pause)
            tape = await scene.begin()
            await scene.runs.idle()
            assert answered(tape) == "Hello there my friend"
            asked.append(len(first.asked))
        return asked

    assert virtual.run(main()) == [1, 2, 3, 4, 5, 5, 5, 6]


def test_a_target_that_is_watched_is_never_taken_to_be_down() -> None:
    log = Log(steps(fails()))

    async def main() -> None:
        scene = Scene(log, watched=True)
        for _ in range(7):
            await scene.begin()
            await scene.runs.idle()

    virtual.run(main())
    assert len(log.asked) == 7


def test_a_deterministic_target_says_it_again_and_nobody_sees_the_seam() -> None:
    log = Log(steps(*says("Hel", "lo "), BROKEN), steps(*says("He", "llo th", "ere"), Say((Finish(0, "stop"),)), End()))
    scene = Scene(log, model=ONCE, deterministic=True, draw_seed=True)
    tape = played(scene)
    assert answered(tape) == "Hello there"
    assert tape.payloads()[-1] == DONE
    assert [ask.chat.request.seed for ask in log.asked] == [log.asked[0].chat.request.seed] * 2
    texts = [json.loads(each)["choices"][0]["delta"].get("content") for each in tape.payloads()[1:-2]]
    assert texts == ["Hel", "lo ", "th", "ere"]


def test_an_answer_that_comes_out_differently_is_an_error_and_no_mixture() -> None:
    log = Log(steps(*says("Hello"), BROKEN), steps(*says("Help"), Say((Finish(0, "stop"),)), End()))
    scene = Scene(log, model=ONCE, deterministic=True)
    tape = played(scene)
    assert json.loads(tape.payloads()[-1])["error"]["message"] == "cut"
    assert DONE not in tape.payloads()
    assert "Help" not in str(tape.payloads())


def test_what_can_not_be_said_again_is_gone_on_with() -> None:
    log = Log(
        steps(*says("Hello"), BROKEN),
        steps(*says("Help"), Say((Finish(0, "stop"),)), End()),
        steps(*says("Hello", " there"), Say((Finish(0, "stop"),)), End()),
    )
    scene = Scene(log, model=ONCE, deterministic=True, prefill=True, echoes_prefill=True)
    tape = played(scene)
    assert answered(tape) == "Hello there"
    assert [ask.prefill for ask in log.asked] == ["", "", "Hello"]


def test_an_echo_that_differs_is_a_failure() -> None:
    second = Log(steps(*says("Jello there"), Say((Finish(0, "stop"),)), End()))
    other = target("two", prefill=True, echoes_prefill=True, same="tiny")
    tape = played(Scene(steps(*says("Hello"), BROKEN), (other, second), model=ONCE))
    assert len(second.asked) == 2
    assert json.loads(tape.payloads()[-1])["error"]["code"] == "upstream_interrupted"
    assert "Jello" not in str(tape.payloads())


def test_a_target_that_can_goes_on_with_the_words_so_far() -> None:
    first = Log(steps(*says("Hello ", "there"), BROKEN))
    second = Log(steps(*says(" my friend"), Say((Usage(20, 3), Finish(0, "stop"))), End()))
    other = target("two", prefill=True, same="tiny")
    scene = Scene(first, (other, second))
    tape = played(scene, max_tokens=10)
    assert answered(tape) == "Hello there my friend"
    assert second.asked[0].prefill == "Hello there"
    assert second.asked[0].chat.request.max_tokens == 8
    assert json.loads(tape.payloads()[4])["model"] == "tiny"
    usage = scene.outcomes[0].usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (18, 5)


@pytest.mark.parametrize(
    ("facts", "parameters"),
    [
        ({"prefill": False}, {}),
        ({"same": "another"}, {}),
        ({}, {"logprobs": True}),
        ({}, {"response_format": {"type": "json_object"}}),
    ],
)
def test_where_nobody_can_go_on_the_client_is_told(facts: dict[str, object], parameters: dict[str, object]) -> None:
    second = Log(HELLO)
    other = target("two", **{"prefill": True, "same": "tiny", **facts})
    tape = played(Scene(steps(*says("Hello"), BROKEN), (other, second)), **parameters)
    assert second.asked == []
    assert json.loads(tape.payloads()[-1])["error"]["code"] == "upstream_interrupted"


def test_continue_never_and_any() -> None:
    other = target("two", prefill=True, same="another")
    for continues, asked in (("never", 0), ("any", 1)):
        second = Log(steps(*says("!"), Say((Finish(0, "stop"),)), End()))
        model = Model("tiny", (), retries=0, continues=continues)  # type: ignore[arg-type]  # two of its literals
        played(Scene(steps(*says("Hello"), BROKEN), (other, second), model=model))
        assert len(second.asked) == asked


def test_thoughts_alone_begin_anew_and_are_not_thought_aloud_twice() -> None:
    first = steps(Say((Reasoning(0, b'"let me see"'),)), BROKEN)
    second = steps(Say((Reasoning(0, b'"well"'),)), *says("Hello"), Say((Finish(0, "stop"),)), End())
    tape = played(Scene(first, (target("two"), second)))
    message = fold(tape.payloads()).choices[0].message
    assert (message.reasoning_content, message.content) == ("let me see", "Hello")


def test_the_chain_goes_on_when_the_one_that_continued_breaks_too() -> None:
    alike: list[tuple[Target, Script]] = [
        (target(name, prefill=True, same="tiny"), steps(*says(word), BROKEN))
        for name, word in (("b", " two"), ("c", " three"))
    ]
    last = (target("d", prefill=True, same="tiny"), steps(*says(" four"), Say((Finish(0, "stop"),)), End()))
    tape = played(Scene(steps(*says("one"), BROKEN), *alike, last))
    assert answered(tape) == "one two three four"


def test_a_call_for_several_choices_goes_on_choice_by_choice() -> None:
    def broken(ask: Ask) -> Iterator[Step]:
        yield Say((Text(0, b'"zero"'), Text(1, b'"one"'), Finish(0, "stop")))
        yield BROKEN

    second = Log(steps(Say((Text(1, b'" more"'), Finish(1, "stop"))), End()))
    tape = played(Scene(broken, (target("two", prefill=True, same="tiny"), second)), n=2)
    assert [choice.message.content for choice in fold(tape.payloads()).choices] == ["zero", "one more"]
    assert [ask.choices for ask in second.asked] == [(1,)]


def test_a_call_that_is_held_until_it_is_whole_is_plainly_retried_when_it_is_cut() -> None:
    call = (ToolOpen(0, 0, "c", "f"), ToolArgs(0, 0, b'"{\\"a\\""'))
    log = Log(steps(Say(call), BROKEN), steps(Say(call), Say((ToolArgs(0, 0, b'":1}"'), Finish(0, "stop"))), End()))
    tape = played(Scene(log, model=Model("tiny", (), retries=1, whole_calls=True)))
    (made,) = list(fold(tape.payloads()).choices[0].message.tool_calls or ())
    assert made.function.arguments == '{"a":1}'
    assert len(log.asked) == 2
    cut = Log(steps(Say(call), BROKEN))
    assert b"tool_calls" not in b"".join(
        played(Scene(cut, model=Model("tiny", (), retries=0, whole_calls=True))).payloads()
    )


def test_a_hedge_asks_a_second_target_and_the_first_word_wins() -> None:
    slow, quick = Log(text("slow", pace=10.0)), Log(text("quick", pace=1.0))
    scene = Scene(slow, (target("two"), quick), model=Model("tiny", (), retries=0, hedge_after=2.0))
    assert answered(played(scene)) == "quick"
    assert scene.outcomes[0].seconds == pytest.approx(3.0)
    assert scene.outcomes[0].ending == Finished()


def test_a_hedge_is_not_needed_where_the_first_answers_in_time() -> None:
    second = Log(HELLO)
    scene = Scene(text("in time", pace=1.0), (target("two"), second), model=Model("tiny", (), hedge_after=2.0))
    assert answered(played(scene)) == "in time"
    assert second.asked == []


def test_a_call_that_goes_on_choice_by_choice_leaves_no_hedge_behind() -> None:
    async def main() -> list[asyncio.TimerHandle]:
        loop = asyncio.get_running_loop()
        broken = steps(Say((Text(0, b'"zero"'), Text(1, b'"one"'))), BROKEN)
        model = Model("tiny", (), retries=0, continues="any", hedge_after=100.0)
        scene = Scene(broken, (target("two", prefill=True), HELLO), model=model)
        await scene.begin(n=2)
        await scene.runs.idle()
        assert len(scene.asks) == 3
        timers: list[asyncio.TimerHandle] = loop._scheduled  # type: ignore[attr-defined]  # the loop's own list
        return [timer for timer in timers if not timer.cancelled() and "_hedge" in repr(timer)]

    assert virtual.run(main()) == []


def test_a_hedged_pair_that_fails_is_told_once() -> None:
    scene = Scene(
        steps(Wait(5.0), fails()),
        (target("two"), steps(Wait(1.0), fails(Cause.UPSTREAM_BUSY))),
        model=Model("tiny", (), retries=0, hedge_after=2.0),
    )
    played(scene)
    ending = scene.outcomes[0].ending
    assert isinstance(ending, Refused)
    assert [attempt.target for attempt in ending.failure.attempts] == ["two", "tiny"]


def test_thoughts_that_break_again_and_again_are_not_begun_anew_for_ever() -> None:
    log = Log(steps(Say((Reasoning(0, b'"let me see"'),)), BROKEN))
    played(Scene(log, model=ONCE))
    assert len(log.asked) == 2


def test_a_refused_prefill_is_remembered_and_the_next_target_goes_on() -> None:
    def first(ask: Ask) -> Iterator[Step]:
        if ask.prefill:
            yield fails(Cause.BAD_REQUEST)
        yield from says("Hello")
        yield BROKEN

    log, second = Log(first), Log(steps(*says(" there"), Say((Finish(0, "stop"),)), End()))
    scene = Scene(log, (target("two", prefill=True, same="tiny"), second), model=ONCE, prefill=True)
    asked = []

    async def main() -> None:
        for _ in range(2):
            tape = await scene.begin()
            await scene.runs.idle()
            assert answered(tape) == "Hello there"
            asked.append(len(log.asked))

    virtual.run(main())
    assert asked == [2, 3]


def test_a_bug_in_a_later_attempt_ends_the_run() -> None:
    class Broken:
        def start(self, *arguments: object) -> object:
            raise TypeError("a bug")

    async def main() -> Scene:
        scene = Scene(steps(Wait(1.0), fails()), (target("two"), HELLO))
        scene.upstreams._backends = {**scene.upstreams._backends, "two": Broken()}  # type: ignore[dict-item]  # a bug
        await scene.begin()
        await scene.runs.idle()
        return scene

    scene = virtual.run(main())
    ending = scene.outcomes[0].ending
    assert isinstance(ending, Refused)
    assert ending.failure.cause is Cause.INTERNAL


def test_parts_of_a_split_call_each_count_their_tokens() -> None:
    def broken(ask: Ask) -> Iterator[Step]:
        yield Say((Text(0, b'"zero"'), Text(1, b'"one"')))
        yield BROKEN

    def rest(ask: Ask) -> Iterator[Step]:
        (choice,) = ask.choices
        yield Say((Text(choice, b'" more"'), Usage(10, 5), Finish(choice, "stop")))
        yield End()

    scene = Scene(broken, (target("two", prefill=True, same="tiny"), rest))
    played(scene, n=2)
    usage = scene.outcomes[0].usage
    assert usage is not None
    assert usage.completion_tokens == 5 + 5 + 2


def test_tokens_of_attempts_that_broke_one_after_another_count_once() -> None:
    second = (target("b", prefill=True, same="tiny"), steps(*says(" two"), BROKEN))
    whole = steps(*says(" three"), Say((Usage(10, 7), Finish(0, "stop"))), End())
    last = (target("c", prefill=True, same="tiny"), whole)
    scene = Scene(steps(*says("one"), BROKEN), second, last, model=Model("tiny", (), retries=0))
    assert answered(played(scene)) == "one two three"
    usage = scene.outcomes[0].usage
    assert usage is not None
    assert usage.completion_tokens == 1 + 1 + 7


def test_every_attempt_is_settled_once() -> None:
    slow, quick = text("slow", pace=10.0), text("quick", pace=1.0)
    scene = Scene(slow, (target("two"), quick), model=Model("tiny", (), retries=0, hedge_after=2.0))
    played(scene)
    assert [(row.number, row.target) for row in scene.ledger.attempted] == [(1, "tiny"), (2, "two")]
    assert {(row.number, row.ending) for row in scene.ledger.settled} == {(1, "cancelled"), (2, "finished")}
    assert len(scene.ledger.settled) == 2


def test_an_answer_is_gone_on_with_at_a_target_whose_breaker_is_open_where_nobody_else_can() -> None:
    async def main() -> None:
        rest = steps(*says(" there"), Say((Finish(0, "stop"),)), End())
        log = Log(steps(*says("Hello"), Wait(1.0), BROKEN), rest)
        scene = Scene(log, model=ONCE, prefill=True)
        tape = await scene.begin()
        await tape.committed()
        for _ in range(5):
            scene.upstreams.judged(target("tiny"), Failure(Cause.UPSTREAM_ERROR, "down"))
        assert scene.upstreams.state(target("tiny")) == "open"
        await scene.runs.idle()
        assert answered(tape) == "Hello there"

    virtual.run(main())
