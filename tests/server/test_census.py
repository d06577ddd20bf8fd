"""Counting connections."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.server.census import Census, neighbourhood
from riverrun.server.limits import HostLimits


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "20010db800000000"),
        ("2001:db8::ffff:1", "20010db800000000"),
        ("fe80::1%eth0", "fe80000000000000"),
        ("127.0.0.1", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        ("", None),
        ("a path", None),
    ],
)
def test_who_an_address_belongs_to(address: str, group: str | None) -> None:
    assert neighbourhood(address) == group


def test_a_cap_holds_for_its_address_only() -> None:
    census = Census(HostLimits(per_address=2))
    assert [census.enter("192.0.2.1") for _ in range(2)] == [None, None]
    refused = census.enter("192.0.2.1")
    assert refused is not None
    assert (refused.status, refused.retry_after, refused.retry) == (429, 1, True)
    assert census.enter("192.0.2.2") is None
    assert [census.enter("127.0.0.1") for _ in range(5)] == [None] * 5
    assert [census.enter(None) for _ in range(5)] == [None] * 5


ADDRESSES = st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "127.0.0.1", None])


@given(st.lists(ADDRESSES, max_size=60), st.integers(1, 20), st.integers(1, 5), st.booleans())
def test_every_place_taken_is_given_back(addresses: list[str | None], most: int, each: int, capped: bool) -> None:
    census = Census(HostLimits(connections=most, per_address=each, loopback_capped=capped))
    inside = [address for address in addresses if census.enter(address) is None]
    assert census.total == len(inside) <= most
    assert all(count <= each for count in census.of.values())
    for address in inside:
        census.leave(address)
    assert census.total == 0
    assert not census.of
