"""The one HTTP client for all upstreams: an ask goes out, and what comes back is pushed.

One read from the socket is one chain of plain calls: parser, event decoder, dialect's reader, sink. A task exists only
while a connection is being made. It knows no provider: what is said, and what it means, is the dialect's.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping

from riverrun.backends import post
from riverrun.backends.address import parse
from riverrun.backends.connection import Connection
from riverrun.backends.content import Content, content, told
from riverrun.backends.contract import Started
from riverrun.backends.credentials import Credentials, Unsigned, hush
from riverrun.backends.no_credentials import NoCredentials
from riverrun.backends.pool import KEEPING, Keeping, Pool
from riverrun.backends.unreachable import too_slow, unreachable
from riverrun.dialects.contract import Dialect
from riverrun.failures import Cause, Failure
from riverrun.routing.target import Target
from riverrun.stream.ask import Ask
from riverrun.stream.deltas import Delta
from riverrun.stream.flow import Call, Cancelled, Ending, Finished, Refused, Sink

OUR_BUG = "The server failed while it read an upstream's answer; the log has the details under this request's id."


class Upstream:
    """A Backend for every target that is reached by HTTP/1.1: over TCP, TLS or a Unix socket."""

    def __init__(
        self,
        dialects: Mapping[str, Dialect],
        keeping: Keeping = KEEPING,
        now: Callable[[], float] = time.time,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """`now` gives Unix seconds, for signatures. `environ` may hold HTTPS_PROXY, and the clouds' own variables."""
        self._dialects = dialects
        self._pool = Pool(keeping, environ)
        self._credentials = Credentials(self._pool, now, environ)

    def start(self, ask: Ask, target: Target, sink: Sink, started: Started) -> Call:
        """Send `ask` to `target`. `started` is called before this returns, the sink only after it.

        A first-token deadline that runs from `started` therefore has the time of connecting in it.
        """
        call = _Call(ask, target, self._dialects[target.dialect], sink, self._pool, self._credentials)
        call.begin(started)
        return call

    def close(self) -> None:
        """Close all connections; calls that are still under way end as interrupted."""
        self._credentials.close()
        self._pool.close()


class _Call:
    """One request and its answer. It listens to its connection, and ends exactly once."""

    def __init__(
        self, ask: Ask, target: Target, dialect: Dialect, sink: Sink, pool: Pool, credentials: Credentials
    ) -> None:
        self._ask = ask
        self._target = target
        self._dialect = dialect
        self._sink = sink
        self._pool = pool
        self._credentials = credentials
        self._shown: post.Headers = ()
        self._ended = False
        self._reused = False  # the connection had served before
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._status = 0
        self._headers: Mapping[str, str] = {}
        self._content: Content | None = None

    def begin(self, started: Started) -> None:
        try:
            self._outgoing = self._dialect.encode(self._ask, self._target)
            self._reader = self._dialect.reader(self._ask, self._target)
            self._address, self._prefix = parse(self._target.base_url)
            ready = self._credentials.ready(self._target)
            if ready:
                self._sign()
        except (Failure, NoCredentials, ValueError) as error:
            self._end_soon(self._unsent(error))
        else:
            started(self._target, self._outgoing.dropped)
            if ready:
                self._send()
            else:
                self._connecting = asyncio.get_running_loop().create_task(self._renew())

    def cancel(self) -> None:
        self._end(Cancelled())

    # What the connection calls.

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        self._status = status
        self._headers = headers

    def heard(self, block: bytes, over: bool) -> None:
        deltas: list[Delta] = []
        try:
            ending = self._read(block, over, deltas)
        except Failure as failure:
            ending = Refused(failure)
        except Exception:  # a bug in a reader: this caller must not wait for ever; the loop logs the rest
            self._end(Refused(Failure(Cause.INTERNAL, OUR_BUG)))
            raise
        if deltas or ending is None:
            self._sink.push(deltas)
        if ending is not None:
            self._end(ending)

    def broken(self, cause: Cause, reason: str, silent: bool) -> None:
        if silent and self._reused:
            self._connect()
            return
        failure = Failure(cause, told(self._target, reason))
        try:
            failure = self._content.cut(failure) if self._content else failure
        finally:
            self._end(Refused(failure))

    def _read(self, block: bytes, over: bool, deltas: list[Delta]) -> Ending | None:
        body = self._content
        if body is None:
            body = content(self._dialect, self._reader, self._status, self._headers, self._ask, self._target)
            self._content = body
        body.feed(block, deltas)
        if over and not body.done:
            body.finish(deltas)
        return Finished() if body.done else None

    # Showing who we are.

    def _sign(self) -> None:
        outgoing, address = self._outgoing, self._address
        headers = post.headers(address.authority, outgoing.headers)
        unsigned = Unsigned(address, self._prefix + outgoing.path, headers, outgoing.body)
        self._shown = self._credentials.sign(self._target, unsigned)
        self._head = post.head(address, self._prefix, outgoing, self._shown)

    async def _renew(self) -> None:
        """Waits for what the request is signed with; that has the time that connecting has."""
        try:
            async with asyncio.timeout(self._target.deadlines.connect):
                await self._credentials.renew()
            self._sign()
        except TimeoutError:
            self._unconnected(self._unsent(NoCredentials("no access token came in time")))
        except (NoCredentials, ValueError) as error:
            self._unconnected(self._unsent(error))
        except Exception:
            self._unconnected(Failure(Cause.INTERNAL, OUR_BUG))
            raise
        else:
            self._connecting = None
            self._send()

    def _unsent(self, error: Exception) -> Failure:
        if isinstance(error, Failure):
            return error
        cause = Cause.UPSTREAM_AUTH if isinstance(error, NoCredentials) else Cause.INTERNAL
        return Failure(cause, told(self._target, str(error)))

    # Getting a connection.

    def _send(self) -> None:
        connection = self._pool.take(self._address)
        if connection is None:
            self._connect()
        else:
            self._reused = True
            self._use(connection)

    def _connect(self) -> None:
        """Always a new connection: also for the one retry after an idle one turned out to be closed.

        The upstream may close an idle connection at the moment we write to it (RFC 9112 9.3.1). A POST may be sent
        again when it was not applied, or does no harm twice (RFC 9110 9.2.2): a completion changes nothing, and
        where no byte came back, most likely nobody read the request.
        """
        self._reused = False
        self._connection = None
        self._connecting = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        try:
            async with asyncio.timeout(self._target.deadlines.connect):
                connection = await self._pool.open(self._address)
        except TimeoutError:  # ours, or the kernel's (ETIMEDOUT)
            self._unconnected(too_slow(self._target))
        except OSError as error:
            self._unconnected(unreachable(error, self._target))
        except Exception:
            self._unconnected(Failure(Cause.INTERNAL, OUR_BUG))
            raise
        else:
            self._connecting = None
            self._use(connection)

    def _use(self, connection: Connection) -> None:
        self._connection = connection
        connection.send(self._head, self._outgoing.body, self)

    def _unconnected(self, failure: Failure) -> None:
        self._connecting = None
        self._end(Refused(failure))

    # The end.

    def _end_soon(self, failure: Failure) -> None:
        asyncio.get_running_loop().call_soon(self._end, Refused(failure))

    def _end(self, ending: Ending) -> None:
        if self._ended:
            return
        self._ended = True
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        if self._connection is not None:
            self._connection.leave(drain=isinstance(ending, Finished))
            self._connection = None
        if isinstance(ending, Refused):
            hush(ending.failure, self._target, self._shown)
        self._sink.end(ending)
