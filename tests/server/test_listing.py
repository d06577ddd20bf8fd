"""Pages of a list, as the official API cuts them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.failures import Failure
from riverrun.server.listing import Page, cut, listed, page


def test_a_page_is_what_the_query_asks_for() -> None:
    assert page({}) == Page(None, 20, "asc", None)
    assert page({"limit": "3", "after": "c", "order": "desc", "model": "m", "stream": "x"}) == Page("c", 3, "desc", "m")


@pytest.mark.parametrize(
    "query", [{"limit": "0"}, {"limit": "101"}, {"limit": "x"}, {"limit": ""}, {"limit": "9" * 5000}, {"order": "up"}]
)
def test_queries_that_mean_nothing(query: dict[str, str]) -> None:
    with pytest.raises(Failure) as raised:
        page(query)
    assert raised.value.status == 400


def test_after_must_name_one_of_them() -> None:
    with pytest.raises(Failure) as raised:
        cut([1], ["a"], Page(after="b"))
    assert (raised.value.status, raised.value.param) == (400, "after")


@given(st.integers(0, 30), st.integers(1, 7), st.sampled_from(["asc", "desc"]))
def test_the_pages_together_are_the_list(size: int, limit: int, order: str) -> None:
    ids = [f"c{number}" for number in range(size)]
    seen: list[str] = []
    more = True
    while more:
        piece = cut(ids, ids, Page(seen[-1] if seen else None, limit, order))  # type: ignore[arg-type]  # one of both
        assert len(piece.things) == limit or not piece.more
        seen, more = seen + piece.things, piece.more
    assert seen == (ids if order == "asc" else ids[::-1])


def test_as_it_is_sent() -> None:
    assert listed([], more=False)["last_id"] is None
    sent = listed([{"id": "a"}, {"id": "b"}], more=True)
    assert (sent["object"], sent["first_id"], sent["last_id"], sent["has_more"]) == ("list", "a", "b", True)
