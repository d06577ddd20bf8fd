"""A changed file, and SIGHUP."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from pathlib import Path

import pytest

from riverrun.config import Config, Loaded, load
from riverrun.failures import Cause, Failure
from riverrun.server.reload import Reload
from tests.server.served import PATIENCE

SOON = 0.01


def again() -> Loaded:
    return load(None, {}, {})


class Applied:
    """Counts what was taken over."""

    def __init__(self) -> None:
        self.count = 0
        self.news = asyncio.Event()
        self.waiting: list[str] = []

    async def __call__(self, config: Config) -> list[str]:
        self.count += 1
        self.news.set()
        return self.waiting

    async def again(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.news.wait()
        self.news.clear()


def test_a_changed_file_is_taken_over_once(tmp_path: Path) -> None:
    async def scene() -> int:
        file = tmp_path / "riverrun.toml"
        file.write_text("one")
        applied = Applied()
        reload = Reload(file, again, applied, SOON)
        reload.start()
        try:
            replaced = tmp_path / "new"
            replaced.write_text("two")
            replaced.rename(file)
            await applied.again()
            file.unlink()
            file.write_text("three, longer")
            await applied.again()
        finally:
            reload.stop()
        return applied.count

    assert asyncio.run(scene()) == 2


def test_sighup_takes_it_over_also_unchanged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        applied = Applied()
        applied.waiting = ["server.port"]
        reload = Reload(tmp_path / "riverrun.toml", again, applied)
        reload.start()
        try:
            os.kill(os.getpid(), signal.SIGHUP)
            await applied.again()
        finally:
            reload.stop()

    with caplog.at_level(logging.INFO, "riverrun.server"):
        asyncio.run(scene())
    assert "was taken over" in caplog.text
    assert "wait for a restart: server.port" in caplog.text


def test_what_is_broken_is_said_and_nothing_else_happens(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Loaded:
        raise Failure(Cause.BAD_REQUEST, "The file has a fault at $.server.")

    async def scene() -> int:
        applied = Applied()
        await Reload(tmp_path / "riverrun.toml", broken, applied).now()
        return applied.count

    assert asyncio.run(scene()) == 0
    assert "nothing of the new configuration was taken over. The file has a fault at $.server." in caplog.text


def test_without_a_file_sighup_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> int:
        applied = Applied()
        reload = Reload(None, again, applied)
        reload.start()
        try:
            os.kill(os.getpid(), signal.SIGHUP)
            async with asyncio.timeout(PATIENCE):
                while "nothing to take over" not in caplog.text:
                    await asyncio.sleep(SOON)
        finally:
            reload.stop()
        return applied.count

    assert asyncio.run(scene()) == 0


def test_what_a_variable_holds_is_not_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "riverrun.toml"
    file.write_text('[upstream.a]\nlike = "${CANARY}"\n')

    async def refuse(config: Config) -> list[str]:
        raise Failure(Cause.BAD_REQUEST, f"like: {config.upstream['a'].like!r} is no row.")

    asyncio.run(Reload(file, lambda: load(file, {}, {"CANARY": "canary-4711"}), refuse).now())
    assert "like: '${CANARY}' is no row." in caplog.text
    assert "canary-4711" not in caplog.text
