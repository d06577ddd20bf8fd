"""Google's tokens: asked for as RFC 7523 says, once for all who wait, kept, renewed, and never told."""

from __future__ import annotations

import asyncio
import sys
from base64 import urlsafe_b64decode
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from riverrun.backends.credentials_google import EARLY, FETCH_SECONDS, FILE, SCOPE
from riverrun.backends.upstream import Upstream
from riverrun.failures import Cause
from riverrun.routing.target import Deadlines, Target
from riverrun.stream.flow import Cancelled, Finished
from tests.backends.asking import CHUNKED, Plain, ask, both_loops, run, target
from tests.upstreams import Play, play, serve, whole

NOW = 1_700_000_000.0
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
OTHER_PEM = (
    ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
)


def token(word: str, life: int = 3600) -> Play:
    return play(whole(msgspec.json.encode({"access_token": word, "expires_in": life, "token_type": "Bearer"})))


def file(folder: Path, base_url: str, **changes: str) -> dict[str, str]:
    """An environment that names a service account's file."""
    account = {
        "type": "service_account",
        "client_email": "me@project.iam.gserviceaccount.com",
        "private_key": PEM,
        "private_key_id": "key-1",
        "token_uri": f"{base_url}/token",
        "universe_domain": "googleapis.com",
        **changes,
    }
    path = folder / "account.json"
    path.write_bytes(msgspec.json.encode(account))
    return {FILE: str(path)}


def vertex(base_url: str, deadlines: Deadlines = Deadlines()) -> Target:  # noqa: B008 - frozen
    return msgspec.structs.replace(target(base_url, deadlines), auth="google")


def client(environ: dict[str, str], now: Callable[[], float] = lambda: NOW) -> Upstream:
    return Upstream({"plain": Plain()}, now=now, environ=environ)


@both_loops
def test_a_service_account_signs_its_grant(loop: str, tmp_path: Path) -> None:
    async def test() -> None:
        async with serve(token("ya29.one")) as google, serve(play(CHUNKED)) as upstream:
            backend = client(file(tmp_path, google.base_url))
            ears, _ = ask(backend, vertex(upstream.base_url))
            assert await ears.ending() == Finished()
            assert upstream.requests[0].headers["authorization"] == "Bearer ya29.one"
            asked = google.requests[0]
            backend.close()
        assert asked.line == "POST /v1/token HTTP/1.1"
        assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
        form = {name: value for name, (value,) in parse_qs(asked.body.decode()).items()}
        assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        head, claims, signature = form["assertion"].split(".")
        KEY.public_key().verify(_decoded(signature), f"{head}.{claims}".encode(), PKCS1v15(), SHA256())
        assert msgspec.json.decode(_decoded(head)) == {"alg": "RS256", "typ": "JWT", "kid": "key-1"}
        assert msgspec.json.decode(_decoded(claims)) == {
            "iss": "me@project.iam.gserviceaccount.com",
            "scope": SCOPE,
            "aud": f"{google.base_url}/token",
            "iat": NOW,
            "exp": NOW + 3600,
        }

    run(test(), loop)


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_a_users_login_is_refreshed(tmp_path: Path) -> None:
    async def test() -> None:
        async with serve(token("ya29.user")) as google, serve(play(CHUNKED)) as upstream:
            secrets = {"client_id": "id", "client_secret": "s&=", "refresh_token": "1//r"}
            backend = client(file(tmp_path, google.base_url, type="authorized_user", **secrets))
            assert await ask(backend, vertex(upstream.base_url))[0].ending() == Finished()
            form = {name: value for name, (value,) in parse_qs(google.requests[0].body.decode()).items()}
            assert form == {"grant_type": "refresh_token", **secrets}
            backend.close()

    run(test())


def test_the_metadata_server_is_asked_where_no_file_is_named() -> None:
    async def test() -> None:
        async with serve(token("ya29.machine")) as google, serve(play(CHUNKED)) as upstream:
            backend = client({"GCE_METADATA_HOST": f"127.0.0.1:{google.port}"})
            assert await ask(backend, vertex(upstream.base_url))[0].ending() == Finished()
            assert upstream.requests[0].headers["authorization"] == "Bearer ya29.machine"
            asked = google.requests[0]
            assert asked.line == "GET /computeMetadata/v1/instance/service-accounts/default/token HTTP/1.1"
            assert asked.headers["metadata-flavor"] == "Google"
            backend.close()

    run(test())


def test_one_fetch_for_all_who_wait_and_one_who_leaves_does_not_stop_it(tmp_path: Path) -> None:
    async def test() -> None:
        gate = asyncio.Event()
        slow = play(gate, *token("ya29.one").steps)
        async with serve(slow) as google, serve(play(CHUNKED)) as upstream:
            backend = client(file(tmp_path, google.base_url))
            calls = [ask(backend, vertex(upstream.base_url)) for _ in range(20)]
            calls[1][1].cancel()  # before it took its first step
            await google.asked(1)
            calls[0][1].cancel()  # the one that began the fetch
            assert calls[0][0].endings == [Cancelled()]
            gate.set()
            for ears, _ in calls[2:]:
                assert await ears.ending() == Finished()
            assert len(google.requests) == 1
            assert len(upstream.requests) == 18
            backend.close()

    run(test())


def test_a_token_is_kept_until_shortly_before_its_end(tmp_path: Path) -> None:
    async def test() -> None:
        moment = NOW
        async with (
            serve(token("one"), token("two"), token("three", life=60)) as google,
            serve(play(CHUNKED)) as upstream,
        ):
            backend = client(file(tmp_path, google.base_url), lambda: moment)
            for later in (0, 3600 - EARLY - 1, 3600 - EARLY, 7200, 7201):
                moment = NOW + later
                assert await ask(backend, vertex(upstream.base_url))[0].ending() == Finished()
            shown = [request.headers["authorization"].removeprefix("Bearer ") for request in upstream.requests]
            assert shown == ["one", "one", "two", "three", "three"]
            assert len(google.requests) == 4  # one that is nearly over is used, and asked for again
            backend.close()

    run(test())


CANARY = "canary-refresh-0123456789"


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (play(whole(f'{{"error":"invalid_grant","x":"{CANARY}"}}'.encode(), "400 Bad Request")), "400"),
        (play(whole(CANARY.encode(), "500 Oops")), "500"),
        (play(whole(CANARY.encode())), "no access token"),
        (play(whole(b'{"access_token":1}')), "no access token"),
        (play(whole(b"", "302 Found", more=f"location: http://{CANARY}/")), "302"),
        (play(whole(b" " * 300_000)), "could be fetched"),
        (play(CANARY.encode()), "could be fetched"),
        (play(end="clean"), "could be fetched"),
        (play(end="reset"), "could be fetched"),
    ],
)
def test_a_token_that_does_not_come(answer: Play, word: str, tmp_path: Path) -> None:
    async def test() -> None:
        async with (
            serve(answer._replace(end=answer.end if answer.end != "keep" else "clean"), token("t")) as google,
            serve(play(CHUNKED)) as upstream,
        ):
            environ = file(tmp_path, google.base_url, type="authorized_user", refresh_token=CANARY)
            backend = client(environ)
            failure = await ask(backend, vertex(upstream.base_url))[0].failure()
            assert failure.cause is Cause.UPSTREAM_AUTH
            assert word in failure.message
            for secret in (CANARY, str(tmp_path), "127.0.0.1"):
                assert secret not in failure.message
            assert await ask(backend, vertex(upstream.base_url))[0].ending() == Finished()  # the next one asks again
            backend.close()

    run(test())


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"private_key": "no key"}, "private_key"),
        ({"private_key": OTHER_PEM}, "RSA"),
        ({"type": "external_account"}, "type"),
        ({"token_uri": "gopher://x"}, "could be fetched"),
    ],
)
def test_a_file_that_can_not_be_used(changes: dict[str, str], word: str, tmp_path: Path) -> None:
    async def test() -> None:
        backend = client(file(tmp_path, "http://127.0.0.1:1", **changes))
        failure = await ask(backend, vertex("http://127.0.0.1:1"))[0].failure()
        assert failure.cause is Cause.UPSTREAM_AUTH
        assert word in failure.message
        assert "PRIVATE KEY" not in failure.message
        backend.close()

    run(test())


@pytest.mark.parametrize(
    ("content", "word"), [(None, "can't be read"), (b"[]", "no credentials"), (b"{", "no credentials")]
)
def test_a_file_that_is_none(content: bytes | None, word: str, tmp_path: Path) -> None:
    async def test() -> None:
        path = tmp_path / "account.json"
        if content is not None:
            path.write_bytes(content)
        failure = await ask(client({FILE: str(path)}), vertex("http://127.0.0.1:1"))[0].failure()
        assert failure.cause is Cause.UPSTREAM_AUTH
        assert word in failure.message
        assert str(path) not in failure.message

    run(test())


def test_without_cryptography_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.serialization", None)

    async def test() -> None:
        backend = client(file(tmp_path, "http://127.0.0.1:1"))
        failure = await ask(backend, vertex("http://127.0.0.1:1"))[0].failure()
        assert failure.cause is Cause.UPSTREAM_AUTH
        assert "riverrun[google]" in failure.message

    run(test())


def test_a_silent_token_server_has_the_time_of_connecting(tmp_path: Path) -> None:
    async def test() -> None:
        async with serve(play(end="stall")) as google:
            backend = client(file(tmp_path, google.base_url))
            ears, _ = ask(backend, vertex("http://127.0.0.1:1", Deadlines(connect=0.05)))
            failure = await ears.failure()
            assert failure.cause is Cause.UPSTREAM_AUTH
            assert "in time" in failure.message
            ears, _ = ask(backend, vertex("http://127.0.0.1:1", Deadlines(connect=FETCH_SECONDS)))
            backend.close()
            assert (await ears.failure()).cause is Cause.UPSTREAM_AUTH
            await google.gone(1)

    run(test())
