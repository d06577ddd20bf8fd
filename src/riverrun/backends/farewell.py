"""Tells another riverrun that we do not come back, after a call that had said that it would.

Else it would go on writing, and its owner paying, for the whole grace that it was asked for. It is a courtesy: whether
it arrives is no matter of the call's, which has ended.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from riverrun.backends import post
from riverrun.backends.fetch import fetch
from riverrun.backends.pool import Pool
from riverrun.routing.target import Target

LONGEST = 5.0
"""Seconds for one farewell."""


class Farewells:
    """Those that are under way. Each is a task of its own; nobody waits for it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._tasks: set[asyncio.Task[None]] = set()

    def say(self, target: Target, completion: str, shown: post.Headers) -> None:
        """Cancels the completion at the target; `shown` are the headers with its credentials."""
        url = f"{target.base_url.rstrip('/')}/chat/completions/{completion}/cancel"
        task = asyncio.get_running_loop().create_task(self._say(url, shown))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _say(self, url: str, shown: post.Headers) -> None:
        with suppress(OSError, ValueError):
            async with asyncio.timeout(LONGEST):
                await fetch(self._pool, "POST", url, dict(shown))
