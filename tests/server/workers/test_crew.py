"""Who is in a crew: places are filled again, changes are for all or for none. The workers here play a script."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from riverrun.config import Config, ServerConfig
from riverrun.failures import Failure
from riverrun.server.sockets import HostError
from riverrun.server.status import Overview, Standing, TargetStanding
from riverrun.server.workers.crew import PAUSES, Crew, merged
from riverrun.server.workers.line import Line, LineLost
from riverrun.server.workers.member import Member
from riverrun.server.workers.messages import Judge, Look, Message, Take, Verdict
from tests.virtual import run

NEW = Config(server=ServerConfig(heartbeat=3.0))


class Asked(Line):
    """Answers as its worker does, in this process."""

    def __init__(self, answers: Callable[[Message], Message]) -> None:
        async def never(message: Message) -> Message:
            raise LineLost("nobody asks")

        super().__init__(lambda message: None, never)
        self.open = True
        self._answers = answers

    async def ask(self, question: Message, patience: float = 0.0) -> Message:
        if not self.open:
            raise LineLost("it is gone")
        return self._answers(question)


class Scripted(Member):
    """Lives for `life` seconds (None: until it is stopped). `unable` to start, `refuses` to change: and why."""

    def __init__(
        self, number: int, config: Config, life: float | None = None, unable: str = "", refuses: str | None = None
    ) -> None:
        super().__init__(number, config)
        self.line = Asked(self._answer)
        self.taken: list[Config] = []
        self._judged = config
        self._life = life
        self._unable = unable
        self._refuses = refuses
        self._over = asyncio.Event()

    @property
    def pid(self) -> int:
        return 1000 + self.number

    @property
    def up(self) -> bool:
        return not self._unable

    async def listening(self) -> None:
        if self._unable:
            raise HostError(self._unable)

    async def gone(self) -> str:
        try:
            async with asyncio.timeout(0.0 if self._unable else self._life):
                await self._over.wait()
        except TimeoutError:
            pass
        self.line.open = False
        return "signal 9"

    def stop(self, *, at_once: bool = False) -> None:
        self._over.set()

    def kill(self) -> None:
        self._over.set()

    def _answer(self, question: Message) -> Message:
        if isinstance(question, Judge):
            self._judged = question.config
            return Verdict(self._refuses)
        if isinstance(question, Take):
            self.taken.append(self._judged)
            return Verdict()
        assert isinstance(question, Look)
        return Overview(self.number + 1, (), [])


class Begun:
    """Makes workers by a script, and remembers when and with which configuration."""

    def __init__(self, make: Callable[[int, int, Config], Scripted]) -> None:
        self.members: list[Scripted] = []
        self.times: list[float] = []
        self.died: list[int] = []
        self._make = make

    async def __call__(self, number: int, config: Config) -> Member:
        self.times.append(asyncio.get_running_loop().time())
        self.members.append(self._make(len(self.members), number, config))
        return self.members[-1]


def play(
    make: Callable[[int, int, Config], Scripted], scene: Callable[[Crew, Begun], Awaitable[None]], count: int = 2
) -> Begun:
    async def main() -> Begun:
        begun = Begun(make)
        crew = Crew(count, Config(), begun, begun.died.append)
        try:
            await crew.start()
            await scene(crew, begun)
        finally:
            await crew.stop(1.0)
        return begun

    return run(main())


def test_who_dies_at_once_is_started_again_after_ever_longer_pauses() -> None:
    async def scene(crew: Crew, begun: Begun) -> None:
        while len(begun.members) < 9:
            await asyncio.sleep(0.125)

    begun = play(lambda count, number, config: Scripted(number, config, life=0.0), scene, count=1)
    pauses = [round(b - a, 3) for a, b in zip(begun.times, begun.times[1:], strict=False)]
    assert pauses == [*PAUSES, PAUSES[-1]]
    assert set(begun.died) == {1000}


def test_who_lived_for_a_while_is_replaced_at_once() -> None:
    async def scene(crew: Crew, begun: Begun) -> None:
        await asyncio.sleep(65.0)

    begun = play(lambda count, number, config: Scripted(number, config, life=20.0), scene, count=1)
    assert [each - begun.times[0] for each in begun.times] == [0.0, 20.0, 40.0, 60.0]


def test_who_cannot_start_at_first_ends_it_and_later_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(crew: Crew, begun: Begun) -> None:
        while len(begun.members) < 4:
            await asyncio.sleep(0.125)

    with pytest.raises(HostError, match="no tapes"):
        play(lambda count, number, config: Scripted(number, config, unable="no tapes" if count else ""), scene)
    begun = play(
        lambda count, number, config: Scripted(number, config, 1.0, "no tapes" if count == 1 else ""), scene, 1
    )
    assert len(begun.members) == 4
    assert "no tapes" in caplog.text


def test_a_change_is_for_all() -> None:
    async def scene(crew: Crew, begun: Begun) -> None:
        await crew.take_over(NEW)
        assert [each.taken for each in begun.members] == [[NEW], [NEW]]
        begun.members[0].kill()
        while len(begun.members) < 3:
            await asyncio.sleep(0.125)
        assert begun.members[2].config == NEW

    play(lambda count, number, config: Scripted(number, config), scene)


def test_a_change_that_one_refuses_is_for_none() -> None:
    async def scene(crew: Crew, begun: Begun) -> None:
        with pytest.raises(Failure, match="not here"):
            await crew.take_over(NEW)
        assert [each.taken for each in begun.members] == [[], []]
        assert crew.config == Config()

    play(lambda count, number, config: Scripted(number, config, refuses="not here" if number else None), scene)


def test_who_is_gone_does_not_hold_up_a_change() -> None:
    async def scene(crew: Crew, begun: Begun) -> None:
        begun.members[0].line.open = False
        await crew.take_over(NEW)
        assert [each.taken for each in begun.members[:2]] == [[], [NEW]]

    play(lambda count, number, config: Scripted(number, config), scene)


def test_what_runs_is_added_up() -> None:
    async def scene(crew: Crew, begun: Begun) -> None:
        assert (await crew.overview(Overview(0, (), []))).running == 1 + 2
        begun.members[1].line.open = False
        assert (await crew.overview(Overview(0, (), []))).running == 1

    play(lambda count, number, config: Scripted(number, config), scene)


def test_a_target_is_as_bad_as_the_worst_worker_says() -> None:
    def model(*states: str) -> Standing:
        return Standing("m", None, [TargetStanding(f"t{n}", n, state) for n, state in enumerate(states)])

    own = [model("closed", "closed", "ready", "")]
    seen = [
        Overview(0, (), [model(*states)]) for states in (("open", "closed", "x", ""), ("half-open", "closed", "x", ""))
    ]
    assert [each.state for each in merged(own, seen)[0].targets] == ["open", "closed", "ready", ""]
    assert merged(own, []) == own
