"""What steers a running application: its owner, through a file, signals and the control socket; or, where it is one of
several workers, their parent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

from riverrun.config import Config, Loaded
from riverrun.engine.backend import Hosting
from riverrun.server.control import Control
from riverrun.server.live import Live
from riverrun.server.reload import Reload
from riverrun.server.sockets import Address
from riverrun.server.status import Overview


class Steering(Protocol):
    """`environ` may hold keys of upstreams. `hosts` are local models that somebody else runs (None: nobody does).
    `started`: when the server started, in Unix seconds (None: when the application was built)."""

    environ: Mapping[str, str]
    hosts: Mapping[str, Hosting] | None
    started: int | None

    def steered(self, live: Live, own: Callable[[], Overview]) -> AbstractAsyncContextManager[None]:
        """While it lasts, `live` is changed and `own` is told to whoever may ask."""

    async def overview(self, own: Overview) -> Overview:
        """How the whole server stands, of which `own` is this application's part."""


class Unsteered:
    """Nothing changes while it runs, and no environment gives keys."""

    environ: Mapping[str, str] = {}
    hosts: Mapping[str, Hosting] | None = None
    started: int | None = None

    @asynccontextmanager
    async def steered(self, live: Live, own: Callable[[], Overview]) -> AsyncIterator[None]:
        yield

    async def overview(self, own: Overview) -> Overview:
        return own


class Owner(Unsteered):
    """`file` is the configuration, which `again` reads anew (None: there is none, so nothing is watched)."""

    def __init__(self, environ: Mapping[str, str], file: Path | None, again: Callable[[], Loaded]) -> None:
        self.environ = environ
        self._file = file
        self._again = again
        self._control = Control()

    def publish(self, address: Address) -> None:
        """The server listens there: its control socket takes the name of the address."""
        self._control.publish(address)

    @asynccontextmanager
    async def steered(self, live: Live, own: Callable[[], Overview]) -> AsyncIterator[None]:
        """The file and SIGHUP take effect, and the control socket answers."""

        async def apply(config: Config) -> Sequence[str]:
            return live.apply(config)

        async def told() -> Overview:
            return own()

        async with self.watching(apply, told):
            yield

    @asynccontextmanager
    async def watching(
        self, apply: Callable[[Config], Awaitable[Sequence[str]]], overview: Callable[[], Awaitable[Overview]]
    ) -> AsyncIterator[None]:
        """As `steered`, whatever a change and an overview take."""
        reload = Reload(self._file, self._again, apply)
        await self._control.open(overview)
        reload.start()
        try:
            yield
        finally:
            self._control.close()
            reload.stop()
