"""The server, and the network before it that breaks on command."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import upstreams
from tests.client.network import Background, Relay, background, relaying
from tests.client.stand_in import StandIn


@pytest.fixture(scope="session")
def loop_thread() -> Iterator[Background]:
    with background() as thread:
        yield thread


@pytest.fixture
def stand_in(loop_thread: Background) -> Iterator[StandIn]:
    server = StandIn()
    with loop_thread.entered(upstreams.serve(upstream=server)):
        yield server


@pytest.fixture
def relay(loop_thread: Background, stand_in: StandIn) -> Iterator[Relay]:
    with loop_thread.entered(relaying(stand_in.port)) as relay:
        yield relay
