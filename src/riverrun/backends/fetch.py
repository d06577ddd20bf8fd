"""One small request and its whole answer, over the pool: for tokens, never for completions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from riverrun.backends import post
from riverrun.backends.address import parse
from riverrun.backends.pool import Pool
from riverrun.failures import Cause

MAX_BODY = 256 * 1024


async def fetch(pool: Pool, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> tuple[int, bytes]:
    """The status and the body; redirects are not followed.

    Raises OSError where no whole answer comes, ValueError for a URL or header that is none.
    """
    address, path = parse(url)
    named = {"host": address.authority, "user-agent": post.DEFAULTS["user-agent"], "accept-encoding": "identity"}
    sent = {**named, **headers, "content-length": str(len(body))}
    head = post.begun(method, path or "/") + post.lines(sent.items())
    connection = await pool.open(address)
    answer = _Answer()
    connection.send(head + b"\r\n", body, answer)
    try:
        return await answer.whole
    finally:
        if not answer.over:  # afterwards the connection may already be another's
            connection.leave(drain=False)


class _Answer:
    def __init__(self) -> None:
        self.whole: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self.over = False
        self._status = 0
        self._body = bytearray()

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        self._status = status

    def heard(self, block: bytes, over: bool) -> None:
        self.over = over
        self._body += block
        if self.whole.done():
            return
        if len(self._body) > MAX_BODY:
            self.whole.set_exception(ConnectionError(f"the answer is larger than {MAX_BODY} bytes"))
        elif over:
            self.whole.set_result((self._status, bytes(self._body)))

    def broken(self, cause: Cause, reason: str, silent: bool) -> None:
        self.over = True
        if not self.whole.done():
            self.whole.set_exception(ConnectionError(reason))
