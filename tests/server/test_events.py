"""The writer between a tape and a client: what goes out, when it beats, and how it ends."""

import asyncio
import json
from collections.abc import Callable, Coroutine

import pytest

from riverrun.backends.scripted import End, Say, Wait, steps
from riverrun.failures import Cause, Failure
from riverrun.server.events import EventStream, Waiter
from riverrun.server.stream import Header
from riverrun.stream.deltas import Finish, Text
from riverrun.stream.flow import Cancelled, Ending, Finished, Refused
from riverrun.tapes.contract import Committed, Head, Listener, Taken
from riverrun.tapes.memory import MemoryTapes
from riverrun.tapes.own import Done, Own
from riverrun.tapes.retention import Retention
from riverrun.tapes.room import Room
from riverrun.wire.chunk import CompletionUsage
from riverrun.wire.sse import HEARTBEAT, frame
from tests import virtual
from tests.runs.scenes import Scene
from tests.server.calls import ask, get
from tests.server.test_app import application
from tests.tapes.contract import own
from tests.tapes.kept import in_memory
from tests.tapes.reader import ANSWER, Ears

LOST = Failure(Cause.STORAGE, "lost", retry_after=2.0)


class Sheet:
    """A Stream that is written down. `room`: blocks until its client is behind."""

    def __init__(self, room: int = 1_000_000) -> None:
        self.gone = False
        self.on_gone: Callable[[], None] | None = None
        self.on_resume: Callable[[], None] | None = None
        self.room = room
        self.headers: list[Header] | None = None
        self.blocks: list[bytes] = []
        self.over: str | None = None

    def start(self, status: int, headers: list[Header]) -> None:
        assert (status, self.headers) == (200, None)
        self.headers = headers

    def write(self, block: bytes) -> bool:
        assert self.headers is not None
        self.blocks.append(block)
        self.room -= 1
        return self.room > 0

    def finish(self) -> None:
        self.over = "finished"

    def abort(self) -> None:
        self.over = "cut"

    async def done(self) -> None:
        raise AssertionError("nobody waits here")

    def listen(self) -> None:
        raise AssertionError("who opened it has done so")

    def answer(self, status: int, headers: list[Header], body: bytes) -> None:
        raise AssertionError("it is answered in pieces")


def play(main: Coroutine[object, object, None]) -> None:
    virtual.run(main)


@pytest.mark.parametrize(
    ("ending", "over"), [(Finished(), "finished"), (Cancelled(), "cut"), (Refused(LOST), "cut")], ids=str
)
def test_only_a_finished_tape_ends_cleanly(ending: Ending, over: str) -> None:
    """V6."""

    async def main() -> None:
        tape, sheet = await own(in_memory()), Sheet()
        events = EventStream(tape, sheet, heartbeat=10.0)
        tape.append(ANSWER)
        assert sheet.blocks == []  # before it was opened
        events.open([(b"a", b"b")], held=False)
        assert b"".join(sheet.blocks) == b"".join(frame(number, each) for number, each in enumerate(ANSWER, 1))
        assert (b"a", b"b") in (sheet.headers or [])
        tape.close(ending, None)
        assert sheet.over == over
        events.leave()

    play(main())


def test_it_beats_in_silence_only() -> None:
    async def main() -> None:
        tape, sheet = await own(in_memory()), Sheet()
        events = EventStream(tape, sheet, heartbeat=10.0)
        events.open([], held=True)
        assert sheet.blocks == [HEARTBEAT]
        await asyncio.sleep(9.0)
        tape.append(ANSWER[:1])
        await asyncio.sleep(9.0)
        assert sheet.blocks.count(HEARTBEAT) == 1
        await asyncio.sleep(12.0)
        assert sheet.blocks.count(HEARTBEAT) == 3
        events.leave()
        await asyncio.sleep(100.0)
        assert sheet.blocks.count(HEARTBEAT) == 3

    play(main())


def test_a_slow_client_is_waited_for() -> None:
    async def main() -> None:
        tape, sheet = await own(in_memory()), Sheet(room=1)
        EventStream(tape, sheet, heartbeat=10.0).open([], held=False)
        for payload in ANSWER:
            tape.append([payload])
        tape.close(Finished(), None)
        assert (len(sheet.blocks), sheet.over) == (1, None)
        sheet.room = 9
        assert sheet.on_resume is not None
        sheet.on_resume()
        assert b"".join(sheet.blocks) == b"".join(frame(number, each) for number, each in enumerate(ANSWER, 1))
        assert sheet.over == "finished"

    play(main())


def test_a_slow_client_of_what_is_no_longer_kept_is_told() -> None:
    async def main() -> None:
        tapes = MemoryTapes(Room(2**20, 2**20), Retention(ended=60.0))
        tape, sheet = await own(tapes), Sheet(room=1)
        EventStream(tape, sheet, heartbeat=1000.0).open([], held=False)
        for payload in ANSWER:
            tape.append([payload])
        tape.close(Finished(), None)
        await asyncio.sleep(61.0)
        assert sheet.on_resume is not None
        sheet.on_resume()
        assert b'"expired"' in sheet.blocks[-1]
        assert sheet.over == "cut"

    play(main())


@pytest.mark.parametrize("reader", [lambda tape, sheet: EventStream(tape, sheet, heartbeat=1.0), Waiter])
@pytest.mark.parametrize("early", [True, False])
def test_a_client_that_goes_is_no_reader(reader: Callable[[Own, Sheet], object], early: bool) -> None:
    async def main() -> None:
        ears, sheet = Ears(), Sheet()
        tape = await own(in_memory(), listener=ears)
        assert isinstance(tape, Own)
        sheet.gone = early
        reader(tape, sheet)
        if not early:
            assert ears.heard == ["joined"]
            assert sheet.on_gone is not None
            sheet.on_gone()
        assert ears.heard == ["joined", "left"]

    play(main())


class Failing:
    """A journal that answers on the next turn of the loop, and can write no more than so many blocks."""

    def __init__(self, blocks: int, *, late: bool) -> None:
        self.left = blocks
        self.late = late
        self.tape: Own

    def block(self, block: bytes, last: int, grown: Callable[[bytes, int], None]) -> None:
        self.left -= 1
        if self.left >= 0:
            asyncio.get_running_loop().call_soon(grown, block, last)
        elif self.late:
            asyncio.get_running_loop().call_soon(self.tape.fail, LOST)
        else:
            raise OSError(28, "No space left on device")

    def commit(self, facts: Committed, began: Callable[[Committed], None]) -> None:
        if self.left >= 0:
            asyncio.get_running_loop().call_soon(began, facts)

    def close(self, ending: Ending, usage: CompletionUsage | None, done: Done) -> None:
        raise AssertionError("it is broken")


class FailingTapes(MemoryTapes):
    def __init__(self, journal: Failing) -> None:
        super().__init__(Room(2**20, 2**20), Retention())
        self._failing = journal

    async def create(self, head: Head, listener: Listener) -> Own | Taken:
        made = await super().create(head, listener)
        if isinstance(made, Own):
            made.journal, self._failing.tape = self._failing, made
        return made


@pytest.mark.parametrize("late", [True, False])
def test_nothing_is_sent_that_could_not_be_written(late: bool) -> None:
    """V1: readers get an event without a number and a cut; who waits for the whole a 503."""

    async def main() -> None:
        said = [step for word in ("one", "two", "three") for step in (Say((Text(0, f'"{word}"'.encode()),)), Wait(1.0))]
        tapes = FailingTapes(Failing(2, late=late))
        scene = Scene(steps(*said, Say((Finish(0, "stop"),)), End()), tapes=tapes)
        app = application(scene)
        stream = ask(app, {"stream": True})
        await stream.until(lambda call: bool(call.numbers))
        whole = get(app, stream.headers["location"])
        await asyncio.gather(stream.done(), whole.done(), scene.runs.idle())
        assert (stream.status, stream.clean) == (200, False)
        assert stream.numbers == [1, 2, 3]  # the opener and two words
        assert b"three" not in stream.body
        last = stream.body.split(b"\n\n")[-2]
        assert last.startswith(b"data: ")
        error = json.loads(stream.events[-1])["error"]
        assert (error["code"], error["riverrun"]["stream_id"]) == (
            "storage_unavailable",
            stream.headers["x-request-id"],
        )
        assert (whole.status, whole.code, whole.headers["x-should-retry"]) == (503, "storage_unavailable", "true")
        assert int(whole.headers["retry-after"]) > 0
        ending = scene.outcomes[0].ending
        assert isinstance(ending, Refused)
        assert ending.failure.cause is Cause.STORAGE

    play(main())


@pytest.mark.parametrize("stream", [True, False])
def test_a_first_word_that_could_not_be_written_is_a_503(stream: bool) -> None:
    async def main() -> None:
        tapes = FailingTapes(Failing(0, late=True))
        scene = Scene(steps(Say((Text(0, b'"one"'),)), Wait(1.0), Say((Finish(0, "stop"),)), End()), tapes=tapes)
        answer = await ask(application(scene), {"stream": stream}).done()
        assert (answer.status, answer.code) == (503, "storage_unavailable")
        assert b"one" not in answer.body

    play(main())


def test_a_client_that_is_behind_gets_no_heartbeat_not_even_after_the_last_words() -> None:
    async def main() -> None:
        tapes = in_memory()
        tape, sheet = await own(tapes), Sheet(room=1)
        tape.append(ANSWER)
        tape.close(Finished(), None)
        events = EventStream(tape, sheet, heartbeat=10.0)
        events.open([], held=False)
        await asyncio.sleep(100.0)
        assert len(sheet.blocks) == 1
        assert sheet.on_resume is not None
        sheet.room = 10
        sheet.on_resume()
        assert sheet.over == "finished"
        events.leave()
        await tapes.close()

    play(main())
