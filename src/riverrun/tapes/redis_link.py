"""How Redis is reached: the URL, connections for those who need their own, and questions with an answer in time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from riverrun.failures import Cause, Failure
from riverrun.tapes.redis_reply import Away, Command, Reply, Said, Word, command

if TYPE_CHECKING:
    from redis.asyncio import ConnectionPool

    from riverrun.tapes.redis_line import Line

log = logging.getLogger("riverrun.tapes")

SCHEMES = {"redis": "redis", "rediss": "rediss", "unix": "unix", "redis+unix": "unix"}
PREFIX = "riverrun:"
LINES = 8
"""Connections for questions, at most; idle ones are used again."""
OLDEST = 7
"""The major version of Redis that riverrun needs."""


class Timing(msgspec.Struct, frozen=True):
    """All in seconds."""

    lease: float = 5.0
    """How long a process that stopped is thought alive; renewed five times in it."""
    answer: float = 2.0
    """How long an answer of Redis may take."""
    patience: float = 15.0
    """How long a live stream waits for Redis before its readers are told."""
    linger: float = 10.0
    """How long a tape that ended stays in memory for those who ask for it at once."""
    sweep: float = 10.0
    """How often each owner compares what Redis has with what it has."""
    abandoned: float = 24 * 3600.0
    """How long the live tape of a dead owner waits for another."""


class Link:
    """Raises Failure for a URL that names no Redis, without repeating it: it may hold a password."""

    def __init__(self, url: str, answer: float = 2.0) -> None:
        self.url, self.prefix = _split(url)
        self._answer = answer
        self._pool = _pool(self.url)
        self._idle: list[Line] = []
        self._free = asyncio.Semaphore(LINES)
        self._away = False

    def line(self) -> Line:
        """A connection for somebody's own."""
        from riverrun.tapes.redis_line import Line

        return Line(self._pool)

    async def ask(self, *words: Word) -> Reply:
        """One command's answer. Raises Away, also where Redis refuses."""
        return (await self.ask_all([command(*words)]))[0]

    async def ask_all(self, commands: list[Command]) -> list[Reply]:
        """All their answers, in time; asked again once where an idle connection turned out to be dead."""
        try:
            async with asyncio.timeout(self._answer), self._free:
                replies = await self._ask(commands)
        except TimeoutError as error:
            raise self.missed(Away(f"no answer within {self._answer:g} s")) from error
        except Away as error:
            raise self.missed(error) from error.__cause__
        self.met()
        return _done(replies)

    async def greet(self) -> None:
        """Raises Failure when Redis can't be reached, or is too old."""
        try:
            told = await self.ask("INFO", "server")
        except Away as away:
            raise unusable(f"Redis, where the tapes are to be kept, can't be used: {away.reason}") from None
        lines = told.decode("utf-8", "replace").splitlines() if isinstance(told, bytes) else []
        facts = dict(line.split(":", 1) for line in lines if ":" in line)
        version = facts.get("redis_version", "?")
        if not version.split(".")[0].isdecimal() or int(version.split(".")[0]) < OLDEST:
            raise unusable(f"tapes need Redis {OLDEST} or newer, or Valkey; this one is {version}")

    async def close(self) -> None:
        idle, self._idle = self._idle, []
        for line in idle:
            await line.close()

    def missed(self, away: Away) -> Away:
        """Says in the log, once, that Redis is not there. Returns what it was given."""
        if not self._away:
            self._away = True
            log.warning("Redis, where the tapes are kept, is not there: %s", away.reason)
        return away

    def met(self) -> None:
        """The opposite."""
        if self._away:
            self._away = False
            log.warning("Redis, where the tapes are kept, is back")

    async def _ask(self, commands: list[Command]) -> list[Reply]:
        if self._idle:
            try:
                return await self._ask_on(self._idle.pop(), commands)
            except Away:
                await self.close()
        line = self.line()
        await line.connect(self._answer)
        return await self._ask_on(line, commands)

    async def _ask_on(self, line: Line, commands: list[Command]) -> list[Reply]:
        replies = await line.exchange(commands, self._answer)
        self._idle.append(line)
        return replies


def _done(replies: list[Reply]) -> list[Reply]:
    for reply in replies:
        if isinstance(reply, Said):
            log.warning("Redis refuses a command: %s", reply.message)
            raise Away(reply.message)
    return replies


def unusable(message: str) -> Failure:
    """Why there are no tapes in Redis."""
    return Failure(Cause.STORAGE, message)


def _split(url: str) -> tuple[str, str]:
    """The URL without our own setting, and that. Raises Failure."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # it is judged when it is asked for
    except ValueError:
        raise unusable("The url of the tapes can't be read") from None
    parts = parts._replace(scheme=SCHEMES.get(parts.scheme, ""))
    if not parts.scheme or not (parts.path if parts.scheme == "unix" else parts.hostname):
        raise unusable('Expected "redis://HOST:PORT/DATABASE", "rediss://…" or "unix:///PATH" as url of the tapes')
    if parts.scheme != "unix" and not (parts.path.strip("/") or "0").isdecimal():
        raise unusable("Expected a number as database at the end of the tapes' url")
    settings: Iterable[tuple[str, str]] = parse_qsl(parts.query, keep_blank_values=True)
    prefix = dict(settings).get("prefix", PREFIX)
    others = urlencode([(name, value) for name, value in settings if name != "prefix"])
    return parts._replace(query=others).geturl(), prefix


def _pool(url: str) -> ConnectionPool:
    try:
        from riverrun.tapes.redis_line import pool
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "redis":
            raise
        raise unusable('tapes in Redis need its library: pip install "riverrun[redis]"') from None
    try:
        return pool(url)
    except (TypeError, ValueError, OSError) as error:
        raise unusable(f"the url of the tapes has a setting that can't be used ({type(error).__name__})") from None
