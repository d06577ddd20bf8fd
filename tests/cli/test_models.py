"""Which server `riverrun models` asks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from riverrun.cli.models import running
from riverrun.server.control import Control
from riverrun.server.sockets import Address
from riverrun.server.status import Overview, Standing


@pytest.fixture(autouse=True)
def _runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


async def opened(host: str, port: int) -> Control:
    """A control socket whose only model has the host's name."""

    async def overview() -> Overview:
        return Overview(0, (), [Standing(host, None, [])])

    control = Control()
    await control.open(overview)
    control.publish(Address(host, port))
    return control


def asked(*servers: tuple[str, int], host: str = "127.0.0.1", port: int = 8000, only: bool = False) -> str | None:
    """The host of the server that is asked, of those that run."""

    async def scene() -> str | None:
        controls = [await opened(*server) for server in servers]
        try:
            told = await asyncio.to_thread(running, host, port, only=only)
        finally:
            for control in controls:
                control.close()
        return told.models[0].name if told is not None else None

    return asyncio.run(scene())


def test_the_one_on_this_address_is_asked() -> None:
    assert asked(("127.0.0.1", 8000), ("::1", 8000)) == "127.0.0.1"
    assert asked(("127.0.0.1", 8000), ("::1", 8000), host="::1") == "::1"


def test_the_only_one_with_the_port_is_asked_whatever_its_host() -> None:
    assert asked(("0.0.0.0", 8000), ("::1", 9000), only=True) == "0.0.0.0"
    assert asked(("0.0.0.0", 8000), ("::1", 8000), only=True) is None


def test_another_port_is_asked_only_where_none_was_meant() -> None:
    assert asked(("::1", 9000)) == "::1"
    assert asked(("::1", 9000), only=True) is None
    assert asked(("::1", 9000), ("::1", 9001)) is None
    assert asked() is None
