"""What a running server takes over, whole or not at all."""

from __future__ import annotations

import msgspec
import pytest

from riverrun.config import Config
from riverrun.config.values import decode, digest
from riverrun.failures import Failure
from riverrun.routing.target import Target
from riverrun.server.guard import Guard
from riverrun.server.live import Live

ONE, OTHER = "key-of-the-test-0001", "key-of-the-test-0002"


def configured(address: str = "http://gpu1/v1", **sections: object) -> Config:
    upstreams = {"gpu1": {"base_url": address, "extra": [address]}}
    models = [{"name": "fast", "targets": ["gpu1/q"]}]
    return msgspec.convert({"upstream": upstreams, "model": models} | sections, Config, dec_hook=decode)


def live(config: Config, *, loopback: bool = True) -> Live:
    return Live(config, {}, ["tiny"], loopback=loopback)


def opens(server: Live, key: str) -> bool:
    try:
        server.keys.tenant(f"Bearer {key}")
    except Failure:
        return False
    return True


def address(server: Live) -> str:
    found = server.find("fast")
    assert found is not None
    return found.tiers[0][0].target.base_url


def test_a_valid_configuration_takes_over_at_once() -> None:
    server = live(configured())
    assert address(server) == "http://gpu1/v1"
    assert server.apply(configured("http://gpu2/v1")) == []
    assert address(server) == "http://gpu2/v1"


def test_what_the_engine_knows_of_a_model_holds_under_every_name() -> None:
    models = [{"name": "mine", "targets": ["local/tiny"]}, {"name": "my-*", "targets": ["local/tiny"]}]
    server = live(configured(model=models))
    server.runs_local(lambda name: Target(name, name, "", "engine", n="fan-out", draw_seed=True))
    for name in ("tiny", "local/tiny", "mine", "my-own"):
        found = server.find(name)
        assert found is not None
        target = found.tiers[0][0].target
        assert (target.n, target.draw_seed) == ("fan-out", True)


def test_a_broken_one_changes_nothing() -> None:
    server = live(configured(server={"api_keys": [ONE]}))
    broken = configured("nonsense", server={"api_keys": [OTHER]})
    with pytest.raises(Failure, match=r"upstream\.gpu1\.base_url"):
        server.apply(broken)
    assert address(server) == "http://gpu1/v1"
    assert opens(server, ONE)


def test_client_keys_are_replaced() -> None:
    server = live(configured(server={"api_keys": [ONE]}))
    assert server.apply(configured(server={"api_keys": [OTHER]})) == []
    assert not opens(server, ONE)
    assert opens(server, OTHER)


def test_off_loopback_the_last_key_cannot_go() -> None:
    server = live(configured(server={"api_keys": [ONE]}), loopback=False)
    with pytest.raises(Failure, match="Off loopback"):
        server.apply(configured())
    assert not opens(server, "")


def test_a_server_with_keys_does_not_become_one_without() -> None:
    """A file that is being written may be empty for a moment."""
    server = live(configured(server={"api_keys": [ONE]}))
    with pytest.raises(Failure, match="last key"):
        server.apply(Config())
    assert not opens(server, "")
    assert address(server) == "http://gpu1/v1"


def test_a_server_without_keys_may_get_one() -> None:
    server = live(configured())
    guard = Guard(loopback=True, keys=server.keys)
    assert guard.tenant(None) == "local"
    server.apply(configured(server={"api_keys": [ONE]}))
    assert guard.tenant(f"Bearer {ONE}") == "default"
    assert not opens(server, "")


def test_tenants_are_replaced_and_count_as_keys() -> None:
    server = live(configured(tenant=[{"name": "acme", "keys": [ONE]}]), loopback=False)
    assert server.keys.tenant(f"Bearer {ONE}") == "acme"
    hashed = f"sha256:{digest(OTHER).hex()}"
    assert server.apply(configured(tenant=[{"name": "beta", "keys": [hashed]}])) == []
    assert server.keys.tenant(f"Bearer {OTHER}") == "beta"
    assert not opens(server, ONE)
    with pytest.raises(Failure, match="Off loopback"):
        server.apply(configured())


def test_keys_of_metrics_are_replaced_and_open_nothing_else() -> None:
    server = live(configured(server={"api_keys": [ONE], "metrics_keys": [OTHER]}))
    assert not opens(server, OTHER)
    assert server.scrapers.tenant(f"Bearer {OTHER}") == "metrics"
    assert server.apply(configured(server={"api_keys": [ONE]})) == []
    assert not server.scrapers


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


def test_what_is_judged_holds_only_once_it_is_taken() -> None:
    server = live(configured())
    server.judge(configured("http://gpu2/v1"))
    assert address(server) == "http://gpu1/v1"
    with pytest.raises(Failure):
        server.judge(configured("nonsense"))
    assert server.take() == []
    assert address(server) == "http://gpu2/v1"
