"""The one HTTP client for all upstreams: an ask goes out, and what comes back is pushed.

It knows no provider: what is said, and what it means, is the dialect's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from random import Random, SystemRandom

from riverrun.backends import post
from riverrun.backends.call import UpstreamCall
from riverrun.backends.contract import Started
from riverrun.backends.credentials import Credentials
from riverrun.backends.farewell import Farewells
from riverrun.backends.pool import KEEPING, Keeping, Pool
from riverrun.dialects.contract import Dialect
from riverrun.routing.target import Target
from riverrun.stream.ask import Ask
from riverrun.stream.flow import Call, Sink


class Upstream:
    """A Backend for every target that is reached by HTTP/1.1: over TCP, TLS or a Unix socket."""

    def __init__(
        self,
        dialects: Mapping[str, Dialect],
        keeping: Keeping = KEEPING,
        now: Callable[[], float] = time.time,
        environ: Mapping[str, str] = os.environ,
        random: Random | None = None,
    ) -> None:
        """`now` gives Unix seconds, for signatures. `environ` may hold HTTPS_PROXY, and the clouds' own variables.

        `random` draws the idempotency keys of calls; by default it is the system's.
        """
        self._dialects = dialects
        self._random = random or SystemRandom()
        self._pool = Pool(keeping, environ)
        self._credentials = Credentials(self._pool, now, environ)
        self._farewells = Farewells(self._pool)

    def start(self, ask: Ask, target: Target, sink: Sink, started: Started) -> Call:
        """Send `ask` to `target`. `started` is called before this returns, the sink only after it.

        A first-token deadline that runs from `started` therefore has the time of connecting in it.
        """
        named = post.idempotent(self._random) if target.resumes else b""
        dialect = self._dialects[target.dialect]
        call = UpstreamCall(ask, target, dialect, sink, self._pool, self._credentials, self._farewells, named)
        call.begin(started)
        return call

    def close(self) -> None:
        """Close all connections; calls that are still under way end as interrupted."""
        self._credentials.close()
        self._farewells.close()
        self._pool.close()
