"""Each way of showing a key, as the upstream sees it; and that no key is ever told to anybody else (SEC5)."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from io import StringIO

import msgspec
import pytest

from riverrun.backends.credentials_sigv4 import Keys, Scope, signed
from riverrun.backends.upstream import Upstream
from riverrun.dialects.contract import Outgoing
from riverrun.failures import Cause, Failure
from riverrun.routing.target import Target
from riverrun.stream.ask import Ask
from riverrun.stream.flow import Finished
from tests.backends.asking import CHUNKED, Plain, PlainReader, ask, run, target
from tests.upstreams import Play, Request, chunk, head, play, serve, sse, whole

NOW = 1440938160.0


def keyed(base_url: str, auth: str, key: str | None) -> Target:
    return msgspec.structs.replace(target(base_url), auth=auth, key=key)


def client(environ: Mapping[str, str], dialect: Plain | None = None) -> Upstream:
    return Upstream({"plain": dialect or Plain()}, now=lambda: NOW, environ=environ)


def sent(auth: str, key: str | None, environ: Mapping[str, str], outgoing: Outgoing | None = None) -> Request:
    """What arrives at an upstream."""
    seen: list[Request] = []

    async def test() -> None:
        async with serve(play(CHUNKED)) as upstream:
            backend = client(environ, Plain(outgoing) if outgoing else None)
            ears, _ = ask(backend, keyed(upstream.base_url, auth, key))
            assert await ears.ending() == Finished()
            seen.extend(upstream.requests)
            backend.close()

    run(test())
    return seen[0]


@pytest.mark.parametrize(
    ("auth", "key", "shown"),
    [
        ("bearer", "the-key", {"authorization": "Bearer the-key"}),
        ("bearer", None, {}),
        ("header:x-api-key", "the-key", {"x-api-key": "the-key"}),
        ("header:Api-Key", "the-key", {"api-key": "the-key"}),
        ("header:x-api-key", None, {}),
        ("none", "the-key", {}),
        ("none", None, {}),
        ("sigv4", "ABSK-bedrock-key", {"authorization": "Bearer ABSK-bedrock-key"}),
        ("google", "ya29.token", {"authorization": "Bearer ya29.token"}),
    ],
)
def test_what_is_shown(auth: str, key: str | None, shown: dict[str, str]) -> None:
    headers = sent(auth, key, {}).headers
    assert {name: headers[name] for name in headers if name in ("authorization", "x-api-key", "api-key")} == shown
    assert key is None or ("the-key" in str(headers)) == ("the-key" in str(shown))


def test_a_signature_is_of_what_is_sent() -> None:
    """Over the real request: its host with the port, the prefix, the dialect's own headers, and its body."""
    more = (("X-Amzn-Bedrock-Trace", "ENABLED"), ("X-Amz-Meta", "a  b"), ("accept", "x/y"))
    request = sent(
        "sigv4", "AKID:SECRET:LENT", {"AWS_REGION": "us-east-1"}, Outgoing("/m%3A0?b=1&a=2", b'{"a":1}', more)
    )
    names = ("host", "content-type", "x-amzn-bedrock-trace", "x-amz-meta", "accept", "user-agent")
    headers = {name: request.headers[name] for name in names}
    keys = Keys("AKID", "SECRET", "LENT")
    made = signed("POST", "/v1/m%3A0?b=1&a=2", headers, b'{"a":1}', keys, Scope("us-east-1"), NOW)
    assert request.line == "POST /v1/m%3A0?b=1&a=2 HTTP/1.1"
    assert {name: request.headers[name] for name, _ in made} == dict(made)
    assert "content-type;host;x-amz-date;x-amz-meta;x-amz-security-token," in request.headers["authorization"]


async def refusal(base_url: str, auth: str, key: str | None, environ: Mapping[str, str]) -> Failure:
    backend = client(environ)
    ears, _ = ask(backend, keyed(base_url, auth, key))
    try:
        return await ears.failure()
    finally:
        backend.close()


@pytest.mark.parametrize(
    ("auth", "key", "cause", "word"),
    [
        ("sigv4", None, Cause.UPSTREAM_AUTH, "AWS_ACCESS_KEY_ID"),
        ("sigv4", "AKID:SECRET", Cause.UPSTREAM_AUTH, "AWS_REGION"),
        ("header", "the-key", Cause.INTERNAL, "header:NAME"),
        ("magic", "the-key", Cause.INTERNAL, "auth"),
    ],
)
def test_what_can_not_be_signed(auth: str, key: str | None, cause: Cause, word: str) -> None:
    async def test() -> None:
        async with serve(play(CHUNKED)) as upstream:
            failure = await refusal(upstream.base_url, auth, key, {})
            assert failure.cause is cause
            assert word in failure.message
            assert upstream.connections == 0

    run(test())


CANARY = "sk-canary-0123456789abcdef"
LENT = "canary-session-token/=="
AUTHS = {
    "bearer": CANARY,
    "header:x-api-key": CANARY,
    "sigv4": f"AKIDCANARY:{CANARY}:{LENT}",
    "google": CANARY,
}


class Telltale(Plain):
    """A dialect that passes on whatever an upstream says, in an answer's events too."""

    def reader(self, ask: Ask, target: Target) -> PlainReader:
        return TelltaleReader()


class TelltaleReader(PlainReader):
    def read(self, event: object) -> list[object]:  # type: ignore[override]
        raise Failure(Cause.UPSTREAM_ERROR, f"it said {event}")


def echo(status: str, words: str) -> Play:
    return play(whole(words.encode(), status))


def leaks(secrets: list[str]) -> dict[str, Play]:
    everything = " ".join(secrets)
    return {
        "401 that repeats it": echo("401 Unauthorized", f"Incorrect API key provided: {everything}"),
        "403 that repeats it": echo("403 Forbidden", everything),
        "400 that repeats it": echo("400 Bad Request", f'{{"error":"{everything}"}}'),
        "429 that repeats it": echo("429 Busy", everything),
        "500 that is cut": play(head("500 Oops", framing="content-length: 9999") + everything.encode(), end="reset"),
        "redirect with it": play(whole(b"", "302 Found", more=f"location: http://x/?key={everything}")),
        "another type": play(whole(everything.encode(), kind=f"text/html; key={CANARY}")),
        "in an event": play(head() + chunk(sse(everything.encode()))),
        "no HTTP": play(everything.encode() + b"\r\n\r\n"),
        "in the headers": play(b"HTTP/1.1 200 OK\r\n" + everything.encode() + b"\r\n\r\n"),
        "compressed": play(whole(everything.encode(), more="content-encoding: gzip")),
        "closed": play(end="clean"),
        "reset": play(end="reset"),
    }


@pytest.mark.parametrize("auth", AUTHS)
@pytest.mark.parametrize("path", leaks([]))
def test_no_credential_is_told_to_anybody(auth: str, path: str, caplog: pytest.LogCaptureFixture) -> None:
    key = AUTHS[auth]
    environ = {"AWS_REGION": "us-east-1"}
    caplog.set_level(logging.DEBUG)

    async def test() -> None:
        async with serve(play(CHUNKED)) as first:  # what it shows, signature and all
            backend = client(environ, Telltale())
            to = keyed(first.base_url, auth, key)
            await ask(backend, to)[0].failure()
            authorization = first.requests[0].headers.get("authorization", "")
        secrets = [*key.split(":")[1:], key, authorization, authorization.rpartition("=")[2]]
        async with serve(leaks([each for each in secrets if each])[path]) as upstream:
            # The same host and moment, so that the signature is the one that is repeated.
            address = msgspec.structs.replace(to, base_url=upstream.base_url)
            failure = await ask(backend, address)[0].failure()
            shown = upstream.requests[0].headers.get("authorization", "")
        told = StringIO()
        told.write(
            f"{failure.message} {failure!r} {failure} {failure.code} {failure.param} {to!r} {to.__rich_repr__()}"
        )
        traceback.print_exception(failure, file=told)
        for secret in (CANARY, LENT, shown.rpartition("=")[2]):
            assert not secret or secret not in told.getvalue()
            assert not secret or secret not in caplog.text
        backend.close()

    run(test())


@pytest.mark.parametrize("auth", AUTHS)
@pytest.mark.parametrize(
    "base_url", ["http://127.0.0.1:1/v1", "gopher://x", "http://nowhere.invalid", "unix:/no/such.sock"]
)
def test_no_credential_is_in_an_error_of_connecting(auth: str, base_url: str) -> None:
    async def test() -> None:
        failure = await refusal(base_url, auth, AUTHS[auth], {"AWS_REGION": "us-east-1"})
        assert CANARY not in failure.message

    run(test())


@pytest.mark.parametrize("auth", AUTHS)
def test_a_key_that_would_break_the_message_apart(auth: str) -> None:
    async def test() -> None:
        async with serve(play(CHUNKED)) as upstream:
            key = f"A:{CANARY}:x\r\nx: y" if auth == "sigv4" else f"{CANARY}\r\nx: y"
            failure = await refusal(upstream.base_url, auth, key, {"AWS_REGION": "us-east-1"})
            assert failure.cause is Cause.INTERNAL
            assert CANARY not in failure.message
            assert upstream.connections == 0

    run(test())


def test_a_short_key_does_not_tear_words_apart() -> None:
    async def test() -> None:
        async with serve(play(whole(b"a key", "429 Busy"))) as upstream:
            assert (await refusal(upstream.base_url, "bearer", "a", {})).message == "a key"

    run(test())
