"""What a running server takes over, whole or not at all."""

from __future__ import annotations

import msgspec
import pytest

from riverrun.config import Config
from riverrun.config.values import decode
from riverrun.failures import Failure
from riverrun.server.live import Live

ONE, OTHER = "key-of-the-test-0001", "key-of-the-test-0002"


def configured(address: str = "http://gpu1/v1", **sections: object) -> Config:
    upstreams = {"gpu1": {"base_url": address, "extra": [address]}}
    models = [{"name": "fast", "targets": ["gpu1/q"]}]
    return msgspec.convert({"upstream": upstreams, "model": models, **sections}, Config, dec_hook=decode)


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
