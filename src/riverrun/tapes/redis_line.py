"""One connection to Redis: it sends commands and reads their answers, and is closed at the first doubt.

The only module that imports the library. It retries nothing and reconnects nothing by itself: who sends must know when
a connection was lost, because what was sent on it may or may not have been done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import TypeVar

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from riverrun.tapes.redis_reply import Away, Command, Reply, Said, packed

T = TypeVar("T")


class Line:
    """`pool` only makes the connection."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]  # the library's

    @property
    def connected(self) -> bool:
        return bool(self._connection.is_connected)

    async def connect(self, limit: float) -> None:
        """Raises Away within `limit` seconds."""
        await self._within(limit, self._connection.connect())  # type: ignore[no-untyped-call]  # the library's

    async def exchange(self, commands: Iterable[Command], limit: float) -> list[Reply]:
        """Sends all at once and reads all answers within `limit` seconds. Raises Away: nobody knows what was done."""
        return await self._within(limit, self._exchange([packed(words) for words in commands]))

    async def close(self) -> None:
        await self._connection.disconnect(nowait=True)

    async def _exchange(self, commands: list[bytes]) -> list[Reply]:
        await self._connection.send_packed_command(commands, check_health=False)
        return [await self._reply() for _ in commands]

    async def _reply(self) -> Reply:
        try:
            reply: Reply = await self._connection.read_response(disable_decoding=True)
        except ResponseError as error:
            return Said(str(error))
        return reply

    async def _within(self, limit: float, work: Coroutine[None, None, T]) -> T:
        try:
            async with asyncio.timeout(limit):
                return await work
        except asyncio.CancelledError:
            await self.close()
            raise
        except TimeoutError as error:
            await self.close()
            raise Away(f"no answer within {limit:g} s") from error
        except (RedisError, OSError) as error:
            await self.close()
            raise Away(str(error)) from error


def pool(url: str) -> ConnectionPool:
    """Raises ValueError or TypeError for a URL that the library can't use."""
    made = ConnectionPool.from_url(
        url,
        protocol=2,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=None,
        socket_connect_timeout=None,
        health_check_interval=0,
    )
    Line(made)
    return made
