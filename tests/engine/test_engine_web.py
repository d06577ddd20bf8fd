from __future__ import annotations

from base64 import b64encode
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from riverrun.engine.errors import SourceFailed
from riverrun.engine.web import Web

from .fileserver import in_turn, refuse, send, serving, whole


def test_a_proxy_of_the_environment_is_used_and_no_proxy_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as proxy:
        proxy.answers["http://models.example/x"] = whole(b"by proxy")
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert Web().read("http://models.example/x", {}, 100) == (b"by proxy", "")
        proxy.answers["/y"] = whole(b"direct")
        assert Web().read(f"{proxy.url}/y", {}, 100) == (b"direct", "")


def test_bodies_come_as_they_are() -> None:
    with serving() as server:
        heads: list[str | None] = []

        def answer(handler: BaseHTTPRequestHandler) -> None:
            heads.append(handler.headers.get("accept-encoding"))
            send(handler, 200, b"", {})

        server.answers["/x"] = answer
        Web().read(f"{server.url}/x", {}, 10)
    assert heads == ["identity"]


def test_a_login_in_the_address_is_sent_as_a_header() -> None:
    with serving() as server:
        heads: list[str | None] = []

        def answer(handler: BaseHTTPRequestHandler) -> None:
            heads.append(handler.headers.get("authorization"))
            send(handler, 200, b"", {})

        server.answers["/x"] = answer
        Web().read(f"{server.url}/x".replace("//", "//me:to%2Fken@"), {}, 10)
    assert heads == ["Basic " + b64encode(b"me:to/ken").decode()]


def test_a_redirect_can_be_looked_at() -> None:
    with serving() as server:
        server.answers["/x"] = lambda handler: send(handler, 302, b"", {"location": "/y", "x-linked-size": "7"})
        response = Web().open(f"{server.url}/x", {}, method="HEAD", follow=False)
        assert (response.status, response.headers["x-linked-size"]) == (302, "7")
        response.release_conn()


def test_a_ring_of_redirects_ends() -> None:
    with serving() as server:
        server.answers["/x"] = lambda handler: send(handler, 302, b"", {"location": "/x"})
        with pytest.raises(SourceFailed, match=r"127\.0\.0\.1: too many redirects"):
            Web().read(f"{server.url}/x", {}, 10)


def test_a_status_that_stays_bad_is_an_answer() -> None:
    with serving() as server:
        server.answers["/x"] = in_turn(*[refuse(503)] * 4)
        with pytest.raises(SourceFailed, match="answered 503"):
            Web().read(f"{server.url}/x", {}, 10)
        assert len(server.seen) == 4


def test_a_ca_bundle_that_can_not_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("no certificate")
    for path in (tmp_path / "bad.pem", tmp_path / "none.pem"):
        with pytest.raises(SourceFailed, match=f"the CA bundle {path} can't be read"):
            Web(str(path))
