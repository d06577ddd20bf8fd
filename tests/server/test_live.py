"""What a running server takes over, whole or not at all."""

from __future__ import annotations

import msgspec
import pytest

from riverrun.config import Config
from riverrun.config.values import decode
from riverrun.failures import Failure
from riverrun.server.guard import Guard
from riverrun.server.live import Live

ONE, OTHER = "key-of-the-test-0001", "key-of-the-test-0002"


def configured(address: str = "http://gpu1/v1", **sections: object) -> Config:
    upstreams = {"gpu1": {"base_url": address, "extra": [address]}}
    models = [{"name": "fast", "targets": ["gpu1/q"]}]
    return msgspec.convert({"upstream": upstreams, "model": models} | sections, Config, dec_hook=decode)


def live(config: Config, *, loopback: bool = True) -> Live:
    return Live(config, {}, ["tiny"], loopback=loopback)


def address(server: Live) -> str:
    found = server.find("fast")
    assert found is not None
    return found.tiers[0][0].target.base_url


def test_a_valid_configuration_takes_over_at_once() -> None:
    server = live(configured())
    assert address(server) == "http://gpu1/v1"
    assert server.apply(configured("http://gpu2/v1")) == []
    assert address(server) == "http://gpu2/v1"


def test_a_broken_one_changes_nothing() -> None:
    server = live(configured(server={"api_keys": [ONE]}))
    broken = configured("nonsense", server={"api_keys": [OTHER]})
    with pytest.raises(Failure, match=r"upstream\.gpu1\.base_url"):
        server.apply(broken)
    assert address(server) == "http://gpu1/v1"
    assert server.keys.refusal(f"Bearer {ONE}") is None


def test_client_keys_are_replaced() -> None:
    server = live(configured(server={"api_keys": [ONE]}))
    assert server.apply(configured(server={"api_keys": [OTHER]})) == []
    assert server.keys.refusal(f"Bearer {ONE}") is not None
    assert server.keys.refusal(f"Bearer {OTHER}") is None


def test_off_loopback_the_last_key_cannot_go() -> None:
    server = live(configured(server={"api_keys": [ONE]}), loopback=False)
    with pytest.raises(Failure, match="Off loopback"):
        server.apply(configured())
    assert server.keys.refusal(None) is not None


def test_a_server_with_keys_does_not_become_one_without() -> None:
    """A file that is being written may be empty for a moment."""
    server = live(configured(server={"api_keys": [ONE]}))
    with pytest.raises(Failure, match="last key"):
        server.apply(Config())
    assert server.keys.refusal(None) is not None
    assert address(server) == "http://gpu1/v1"


def test_a_server_without_keys_may_get_one() -> None:
    server = live(configured())
    guard = Guard(loopback=True, keys=server.keys)
    assert guard.key_refusal(None) is None
    server.apply(configured(server={"api_keys": [ONE]}))
    assert guard.key_refusal(None) is not None
    assert guard.key_refusal(f"Bearer {ONE}") is None


@pytest.mark.parametrize("weight", [float("inf"), 1e308, 0])
def test_weights_are_such_that_they_can_be_drawn(weight: float) -> None:
    targets = [{"target": "gpu1/a", "weight": weight}, {"target": "gpu1/b", "weight": weight}]
    with pytest.raises(msgspec.ValidationError, match="weight"):
        configured(model=[{"name": "fast", "targets": targets}])


def test_what_waits_for_a_restart_is_named_until_it_is_as_it_was() -> None:
    server = live(configured())
    changed = configured(server={"port": 1, "heartbeat": 3.0}, engine={"slots": 1}, log={"verbose": True})
    waiting = ["engine.slots", "log.verbose", "server.heartbeat", "server.port"]
    assert server.apply(changed) == waiting
    assert server.apply(changed) == waiting
    assert server.apply(configured()) == []


def test_the_rows_of_running_streams_stay() -> None:
    server = live(configured())
    began = server.answering.upstreams["gpu1"].row_name
    server.apply(configured("http://gpu2/v1"))
    assert began in server.rows
    assert server.answering.upstreams["gpu1"].row_name in server.rows
