"""The operator's limits as the host has them."""

from riverrun.config import ServerConfig
from riverrun.server.limits import HostLimits, limits_of


def test_what_is_not_set_is_as_usual() -> None:
    assert limits_of(ServerConfig()) == HostLimits()


def test_workers_share_the_connections() -> None:
    assert limits_of(ServerConfig(connections=10)).connections == 10
    assert limits_of(ServerConfig(connections=10, workers=4)).connections == 3
    assert limits_of(ServerConfig(connections_per_address=10, workers=4)).per_address == 10
