"""The tapes that a configuration asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

from riverrun.config.tapes import TapesConfig
from riverrun.tapes.contract import Tapes
from riverrun.tapes.memory import MemoryTapes
from riverrun.tapes.retention import Retention
from riverrun.tapes.room import Room

FOREVER = 100 * 365 * 24 * 3600.0


def room_for(config: TapesConfig) -> Room:
    """The bounds that all tapes of this process share."""
    return Room(config.memory, config.disk)


def build(config: TapesConfig, room: Room, random: Random, now: Callable[[], float]) -> Tapes:
    """Raises Failure where they can't be used. `now` gives Unix seconds."""
    retention = Retention(
        ended=config.keep.limit or FOREVER,
        keyed=config.keep_keyed.limit or FOREVER,
        stored=config.keep_stored.limit or FOREVER,
    )
    if config.url.kind == "file":
        from riverrun.tapes.file import FileTapes

        folder = Path(config.url.reveal().removeprefix("file:"))
        return FileTapes(folder, room, retention, random, now, config.stream_limit, bound=config.disk)
    if config.url.kind == "redis":
        from riverrun.tapes.redis_tapes import RedisTapes

        return RedisTapes(config.url.reveal(), room, retention, random, now, config.stream_limit)
    return MemoryTapes(room, retention, config.stream_limit)
