"""The application's start and end."""

import asyncio

import pytest

from riverrun.server.asgi import Receive, Scope, Send
from riverrun.server.lifespan import Lifespan
from riverrun.server.sockets import HostError
from tests.server.served import PATIENCE


class Played:
    """Answers startup and shutdown with what it is told to."""

    def __init__(self, *answers: str) -> None:
        self.answers = answers
        self.heard: list[str] = []
        self.cancelled = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "lifespan"
        try:
            for answer in self.answers:
                self.heard.append(str((await receive())["type"]))
                if answer == "raise":
                    raise LookupError("no model")
                if answer == "hang":
                    await asyncio.Event().wait()
                await send({"type": answer, "message": "no engine"})
        except asyncio.CancelledError:
            self.cancelled = True
            raise


async def live(app: Played, within: float = PATIENCE) -> None:
    lifespan = Lifespan(app)
    await lifespan.start()
    await lifespan.stop(within)
    await lifespan.stop(within)  # once more is nothing


def test_it_starts_and_stops() -> None:
    app = Played("lifespan.startup.complete", "lifespan.shutdown.complete")
    asyncio.run(live(app))
    assert app.heard == ["lifespan.startup", "lifespan.shutdown"]


@pytest.mark.parametrize(
    ("answers", "error", "message"),
    [
        (("raise",), LookupError, "no model"),
        (("lifespan.startup.failed",), HostError, "no engine"),
        ((), HostError, "ended before its startup"),
        (("lifespan.startup.complete", "raise"), LookupError, "no model"),
        (("lifespan.startup.complete", "lifespan.shutdown.failed"), HostError, "no engine"),
    ],
)
def test_what_goes_wrong_comes_out(answers: tuple[str, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        asyncio.run(live(Played(*answers)))


def test_an_end_that_takes_too_long_is_cancelled() -> None:
    app = Played("lifespan.startup.complete", "hang")
    with pytest.raises(HostError, match=r"did not stop within 0\.05 s"):
        asyncio.run(live(app, within=0.05))
    assert app.cancelled


def test_a_cancelled_start_cancels_the_application() -> None:
    app = Played("hang")

    async def check() -> None:
        starting = asyncio.create_task(Lifespan(app).start())
        while not app.heard:
            await asyncio.sleep(0)
        starting.cancel()
        await asyncio.wait((starting,))
        assert starting.cancelled()

    asyncio.run(check())
    assert app.cancelled
