from __future__ import annotations

from collections.abc import Mapping
from random import Random

import pytest

from riverrun.clients.patience import Patience
from riverrun.clients.posts import KEYS_KEPT, Keys, Post, Posts, completion_id, headers_to_resume

URL = "http://127.0.0.1:8000/v1/chat/completions"
RIVERRUN = {"location": "/v1/chat/completions/chatcmpl-1", "content-type": "text/event-stream"}


def begin(posts: Posts, count: int = 0, body: bytes = b"{}", **more: str) -> tuple[Post, dict[str, str]]:
    headers = {"x-stainless-retry-count": str(count), **{name.replace("_", "-"): text for name, text in more.items()}}
    post = posts.begin("POST", URL, headers, body)
    assert post is not None
    return post, headers


def key(posts: Posts, count: int = 0, body: bytes = b"{}") -> str:
    return begin(posts, count, body)[1]["idempotency-key"]


def posts() -> Posts:
    return Posts(Patience(), Random(1))


def test_every_request_has_a_key_of_its_own() -> None:
    shared = posts()
    keys = {key(shared) for _ in range(20)}
    assert len(keys) == 20
    assert all(len(each) == 32 for each in keys)


def test_a_retry_has_the_key_of_the_attempt_that_failed() -> None:
    shared = posts()
    first, headers = begin(shared)
    first.failed()
    second, again = begin(shared, 1)
    second.answered(503, {})
    assert headers["idempotency-key"] == again["idempotency-key"] == key(shared, 2)


def test_equal_requests_at_the_same_time_never_share_a_key() -> None:
    shared = posts()
    one, headers_of_one = begin(shared)
    begin(shared)  # still running
    one.failed()
    assert key(shared, 1) == headers_of_one["idempotency-key"]
    assert key(shared, 1) != headers_of_one["idempotency-key"]


def test_another_body_is_another_request() -> None:
    shared = posts()
    first, headers = begin(shared)
    first.failed()
    assert key(shared, 1, b"[]") != headers["idempotency-key"]


def test_the_callers_own_headers_stay() -> None:
    _, headers = begin(posts(), idempotency_key="mine", x_riverrun_on_disconnect="finish")
    assert headers["idempotency-key"] == "mine"
    assert headers["x-riverrun-on-disconnect"] == "finish"


def test_the_kept_keys_are_bounded() -> None:
    keys = Keys(Random(1))
    for number in range(KEYS_KEPT + 1):
        keys.failed(b"%d" % number, 0, str(number))
    assert keys.take(b"1", 1) == "1"
    assert keys.take(b"0", 1) != "0"


@pytest.mark.parametrize(
    ("method", "url", "wanted"),
    [
        ("POST", URL, True),
        ("POST", f"{URL}?api-version=1", True),
        ("GET", URL, False),
        ("POST", "http://127.0.0.1:8000/v1/embeddings", False),
        ("POST", f"{URL}/chatcmpl-1/cancel", False),
    ],
)
def test_only_chat_completions_are_touched(method: str, url: str, wanted: bool) -> None:
    headers: dict[str, str] = {}
    assert (posts().begin(method, url, headers, b"") is not None) is wanted
    assert bool(headers) is wanted


@pytest.mark.parametrize(
    ("known", "seconds"), [(None, 5.0), (RIVERRUN, 60.0), ({"content-type": "text/event-stream"}, 0.0)]
)
def test_how_long_a_post_is_repeated_depends_on_who_answered_before(
    known: Mapping[str, str] | None, seconds: float
) -> None:
    shared = posts()
    if known is not None:
        begin(shared)[0].answered(200, known)
    post, _ = begin(shared)
    now = 0.0
    while (pause := post.lost(now)) is not None:
        now += pause
    assert now == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("status", "headers", "kind"),
    [
        (200, RIVERRUN, "events"),
        (200, RIVERRUN | {"content-type": "application/json"}, "whole"),
        (200, {"content-type": "text/event-stream"}, "foreign"),
        (200, RIVERRUN | {"content-encoding": "gzip"}, "foreign"),
        (503, RIVERRUN, "foreign"),
        (302, {"location": "http://elsewhere/"}, "foreign"),
    ],
)
def test_whose_answer_it_is(status: int, headers: Mapping[str, str], kind: str) -> None:
    assert begin(posts())[0].answered(status, headers) == kind


def test_only_the_id_is_taken_from_the_location() -> None:
    assert completion_id({"location": "https://evil.example/v1/chat/completions/chatcmpl-1"}) == "chatcmpl-1"
    assert completion_id({"location": "/v1/chat/completions/../../keys"}) is None
    assert completion_id({"location": "/v1/chat/completions/a?b=c"}) is None


@pytest.mark.parametrize("id", ["", ".", "..", "a.b", "%2e%2e", "\u00fc", "\u0663", "a\n", "a" * 129])
def test_what_is_no_id_makes_no_path(id: str) -> None:
    assert completion_id({"location": f"/v1/chat/completions/{id}"}) is None
    assert completion_id({"location": "/v1/chat/completions/" + "a_-Z9" * 25}) == "a_-Z9" * 25


def test_the_get_keeps_what_says_who_asks() -> None:
    post = {"Authorization": "Bearer k", "content-length": "2", "content-type": "application/json", "accept": "*/*"}
    assert headers_to_resume(post, {"last-event-id": "3"}) == {
        "Authorization": "Bearer k",
        "accept": "text/event-stream",
        "accept-encoding": "identity",
        "last-event-id": "3",
    }
