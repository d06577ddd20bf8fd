"""The real engine and the real default model, for tests marked `engine`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from riverrun.engine.fetch import pull
from riverrun.engine.folder import default_folder
from riverrun.engine.settings import ChildSettings
from riverrun.wire.jsonvalue import JsonValue

SECONDS = 90.0


def model_file() -> Path:
    """The default model, fetched by riverrun's own code unless it is there."""
    return pull("default", default_folder(), lambda *_: None).path


def small(name: str = "m", **more: object) -> ChildSettings:
    """Settings that load fast: two slots with a short context."""
    model = more.pop("model", None) or str(model_file())
    fields = {"name": name, "model": model, "folder": "", "context": 1024, "slots": 2, "threads": 1, **more}
    return msgspec.convert(fields, ChildSettings)


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Runs an async test within a generous time."""

    async def bounded() -> None:
        async with asyncio.timeout(SECONDS):
            await test()

    asyncio.run(bounded())


async def until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    """Waits until something is so."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)


async def get(base_url: str, path: str, key: str | None = None) -> tuple[int, JsonValue]:
    """GET over the engine's Unix socket or port: the status and the JSON."""
    if base_url.startswith("unix:"):
        reader, writer = await asyncio.open_unix_connection(base_url.split(":")[1])
    else:
        host, port = base_url.removeprefix("http://").rstrip("/").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
    authorization = f"authorization: Bearer {key}\r\n" if key else ""
    writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{authorization}\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return int(head.split()[1]), json.loads(body)
