"""One request to an upstream and its answer, from the first byte to the one ending.

One read from the socket is one chain of plain calls: parser, event decoder, dialect's reader, sink. A task exists only
while a connection is being made. An upstream that is itself a riverrun keeps its streams when a connection breaks: such
a cut is mended here (*resume*), and nobody above ever hears of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from riverrun.backends import post
from riverrun.backends.address import parse
from riverrun.backends.comeback import Comeback
from riverrun.backends.connection import NO_HEADERS, Connection
from riverrun.backends.content import Content, content, told
from riverrun.backends.contract import Started
from riverrun.backends.credentials import Credentials, Unsigned, hush
from riverrun.backends.farewell import Farewells
from riverrun.backends.no_credentials import NoCredentials
from riverrun.backends.numbered import Lost, Numbered, goes_on, numbered
from riverrun.backends.pool import Pool
from riverrun.backends.unreachable import too_slow, unreachable
from riverrun.dialects.contract import Dialect, Outgoing
from riverrun.failures import Cause, Failure
from riverrun.routing.target import Target
from riverrun.stream.ask import Ask
from riverrun.stream.deltas import Delta
from riverrun.stream.flow import Cancelled, Ending, Finished, Refused, Sink

OUR_BUG = "The server failed while it read an upstream's answer; the log has the details under this request's id."


class UpstreamCall:
    """It listens to its connection, and ends exactly once.

    `named` are the headers that say that we would come back; none, where the target knows nothing of it. What is not
    needed any more (the request, once an answer came; all else at the end) is let go, so that an open stream is light
    and nothing waits for the garbage collector.
    """

    __slots__ = (
        "_address", "_ask", "_body", "_comeback", "_connecting", "_connection", "_content", "_credentials", "_cut",
        "_dialect", "_ended", "_farewells", "_head", "_headers", "_named", "_pool", "_prefix", "_push",
        "_reader", "_repeated", "_reused", "_shown", "_sink", "_status", "_stream", "_target",
    )  # fmt: skip

    def __init__(
        self,
        ask: Ask,
        target: Target,
        dialect: Dialect,
        sink: Sink,
        pool: Pool,
        credentials: Credentials,
        farewells: Farewells,
        named: bytes = b"",
    ) -> None:
        self._ask = ask
        self._target = target
        self._dialect = dialect
        self._sink = sink
        self._push = sink.push
        self._pool = pool
        self._credentials = credentials
        self._farewells = farewells
        self._named = named
        self._shown: post.Headers = ()
        self._ended = False
        self._reused = False  # the connection had served before
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._status = 0
        self._headers = NO_HEADERS
        self._content: Content | None = None
        self._repeated = False  # the request was sent again after a cut before its answer
        self._stream: Numbered | None = None  # the content, where it can be come back to
        self._comeback: Comeback | None = None  # once that was needed

    def begin(self, started: Started) -> None:
        try:
            outgoing = self._dialect.encode(self._ask, self._target)
            self._reader = self._dialect.reader(self._ask, self._target)
            self._address, self._prefix = parse(self._target.base_url)
            ready = self._credentials.ready(self._target)
            if ready:
                self._sign(outgoing)
        except (Failure, NoCredentials, ValueError) as error:
            self._end_soon(self._unsent(error))
        else:
            if ready:
                self._send()
            else:
                self._connecting = asyncio.get_running_loop().create_task(self._renew(outgoing))
            started(self._target, outgoing.dropped)  # last: what is asked need not wait for it

    def cancel(self) -> None:
        if self._ended:
            return
        stream = self._stream
        if stream is not None and stream.resumable and not self._pool.closed:
            self._farewells.say(self._target, stream.completion, self._shown)
        self._end(Cancelled())

    # What the connection calls.

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        self._status = status
        self._headers = headers
        self._head = self._body = b""  # nobody sends it again: where something came, a cut is another matter
        if self._comeback is not None and self._comeback.away and not goes_on(status, headers):
            self._give_up()

    def heard(self, block: bytes, over: bool) -> None:
        if self._ended:
            return
        deltas: list[Delta] = []
        try:
            body = self._content or self._begun()
            body.feed(block, deltas)
            if over and not body.done:
                body.finish(deltas)
        except Failure as failure:
            self._tell(deltas)
            self._end(Refused(failure))
        except Lost as lost:
            self._tell(deltas)
            self._come_back(lost.failure)
        except Exception:  # a bug in a reader: this caller must not wait for ever; the loop logs the rest
            self._end(Refused(Failure(Cause.INTERNAL, OUR_BUG)))
            raise
        else:
            if deltas or not body.done:
                self._push(deltas)
            if body.done:
                self._end(Finished())
            elif deltas and self._comeback is not None:
                self._comeback.progressed()

    def broken(self, cause: Cause, reason: str, silent: bool) -> None:
        if silent and self._reused:
            self._connect()
            return
        failure = Failure(cause, told(self._target, reason))
        if cause is Cause.UPSTREAM_INTERRUPTED and not self._pool.closed and self._mended(failure):
            return
        if self._away:
            self._give_up()
            return
        try:
            failure = self._content.cut(failure) if self._content else failure
        finally:
            self._end(Refused(failure))

    def _begun(self) -> Content:
        """How to read the body behind this head. Raises Failure where it can't or must not be read."""
        headers, self._headers = self._headers, NO_HEADERS
        if self._comeback is not None and self._stream is not None:
            self._comeback.back()
            self._stream.again()
            self._content = self._stream
            return self._stream
        body = content(self._dialect, self._reader, self._status, headers, self._ask, self._target)
        if self._named:
            self._stream = numbered(body, self._reader, headers, self._target)
        self._named = b""  # an answer came: the request is not sent again
        self._content = self._stream or body
        return self._content

    def _tell(self, deltas: list[Delta]) -> None:
        if deltas:
            self._push(deltas)

    # Coming back to a stream that goes on without us.

    @property
    def _away(self) -> bool:
        """There is no connection with the stream on it, and one is looked for."""
        return self._comeback is not None and self._comeback.away

    def _mended(self, failure: Failure) -> bool:
        """Whether nobody above has to hear of this cut."""
        self._connection = None
        if not self._status:  # it may have been read: the same key joins what it began
            again = bool(self._named) and not self._repeated
            self._repeated = True
            if again:
                self._connect()
            return again
        if self._stream is None or not self._stream.resumable:
            return False
        self._come_back(failure)
        return True

    def _come_back(self, failure: Failure) -> None:
        """`failure` is what the cut means where nothing comes of it."""
        if self._ended:
            return
        if self._connection is not None:
            self._connection.leave(drain=False)
            self._connection = None
        if not self._away:
            self._cut = failure
        self._content = None
        if self._comeback is None:
            self._comeback = Comeback(self._ask_for_rest, self._give_up)
        self._comeback.lost()

    def _ask_for_rest(self) -> None:
        assert self._stream is not None
        stream = self._stream
        self._head = post.rest_of(stream.completion, stream.last, self._address, self._prefix, self._shown)
        self._body = b""
        self._connect()

    def _give_up(self) -> None:
        """The rest is not to be had: the cut means what it would have meant without all this."""
        assert self._stream is not None
        deltas: list[Delta] = []
        whole = self._stream.given_up(deltas)
        self._tell(deltas)
        self._end(Finished() if whole else Refused(self._cut))

    # Showing who we are.

    def _sign(self, outgoing: Outgoing) -> None:
        address = self._address
        self._shown = self._credentials.sign(self._target, Unsigned(address, self._prefix, outgoing))
        self._head = post.head(address, self._prefix, outgoing, self._shown, self._named)
        self._body = outgoing.body

    async def _renew(self, outgoing: Outgoing) -> None:
        """Waits for what the request is signed with; that has the time that connecting has."""
        try:
            async with asyncio.timeout(self._target.deadlines.connect):
                await self._credentials.renew()
            self._sign(outgoing)
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
            self._connection = connection
            connection.send(self._head, self._body, self)

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
            self._connection = connection
            connection.send(self._head, self._body, self)

    def _unconnected(self, failure: Failure) -> None:
        self._connecting = None
        if self._away and failure.cause is not Cause.INTERNAL and not self._pool.closed:
            self._come_back(failure)
        elif self._away:
            self._give_up()
        else:
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
        if self._comeback is not None:
            self._comeback.stop()
            self._comeback = None
        if self._connection is not None:
            self._connection.leave(drain=type(ending) is Finished)
            self._connection = None
        self._content = self._stream = None
        if type(ending) is Refused:
            hush(ending.failure, self._target, self._shown)
            ending.failure.__traceback__ = None  # its frames hold the ending, and so itself
        sink = self._sink
        del self._sink, self._push
        sink.end(ending)
