"""Names, pages and keys: pure decisions on header values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.config.values import digest
from riverrun.failures import Failure
from riverrun.server.guard import Guard, Keys, authority, same_origin

LOCAL = Guard(loopback=True)
OPEN = Guard(loopback=False)
NAMED = Guard(loopback=False, hosts=["api.example:443", "[2001:db8::1]"])
PAGES = Guard(loopback=True, hosts=["box.lan"], origins=["https://App.Example/", "http://localhost:3000"])
KEY, OTHER = "rr-0123456789abcdef", "another-key-0123456"
OWNERS = {digest(OTHER): "acme", digest(KEY): "default"}


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8000", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:65535", "[::1]", "[::1]:8000"]
)
def test_loopback_names_are_welcome(host: str) -> None:
    for guard in (LOCAL, OPEN, NAMED, PAGES):
        assert guard.refusal(host) is None


HOSTILE = [
    None,
    "",
    " ",
    "evil.example",
    "evil.example:8000",
    "localhost.evil.example",
    "evil-localhost",
    "127.0.0.1.evil.example",
    "127.0.0.1:8000.evil.example",
    "localhost@evil.example",
    "evil.example#localhost",
    "evil.example/localhost",
    "localhost:8000:8000",
    "localhost:",
    "localhost:99999999",
    "localhost, evil.example",
    "localhost\n",
    "localhost\x00",
    "localhost.",
    "local\u212ahost",
    "\u212aocalhost",
    "0.0.0.0",
    "[::]",
    "::1",
    "[::ffff:127.0.0.1]",
    "2130706433",
    "0x7f.1",
    "127.1",
    "127.0.0.2",
    "\uff4cocalhost",
    "*",
    "null",
]


@pytest.mark.parametrize("host", HOSTILE)
def test_every_other_name_is_refused_on_loopback(host: str | None) -> None:
    failure = LOCAL.refusal(host)
    assert failure is not None
    assert (failure.status, failure.code) == (403, "host_not_allowed")


def test_rebinding_fails_by_its_name_even_when_the_page_calls_itself() -> None:
    """The page of evil.example, now resolving to 127.0.0.1: same origin as far as the browser can tell."""
    assert LOCAL.refusal("evil.example:8000", "http://evil.example:8000") is not None


def test_off_loopback_any_real_name_is_welcome_unless_some_are_configured() -> None:
    assert OPEN.refusal("api.example") is None
    assert OPEN.refusal("not a name") is not None
    assert NAMED.refusal("API.example") is None
    assert NAMED.refusal("[2001:DB8::1]:8000") is None
    assert NAMED.refusal("other.example") is not None
    assert PAGES.refusal("box.lan:8000") is None


@pytest.mark.parametrize(
    ("origin", "welcome"),
    [
        (None, True),
        ("http://localhost:8000", True),
        ("https://app.example", True),
        ("HTTPS://APP.EXAMPLE", True),
        ("http://localhost:3000", True),
        ("http://localhost:3001", False),
        ("http://app.example", False),
        ("https://app.example:444", False),
        ("https://app.example.evil.example", False),
        ("https://evil.example", False),
        ("https://app.example@evil.example", False),
        ("null", False),
        ("", False),
        ("file://", False),
        ("http://", False),
        ("localhost:8000", False),
        ("chrome-extension://localhost:8000", False),
        ("https://\u212a.example", False),
    ],
)
def test_pages_are_welcome_by_origin(origin: str | None, welcome: bool) -> None:
    failure = PAGES.refusal("localhost:8000", origin)
    assert (failure is None) == welcome
    if failure is not None:
        assert (failure.status, failure.code) == (403, "origin_not_allowed")


def test_same_origin_knows_default_ports() -> None:
    assert same_origin("https://api.example", "api.example")
    assert same_origin("https://api.example", "api.example:443")
    assert same_origin("http://api.example:80", "api.example")
    assert not same_origin("https://api.example", "api.example:80")


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_is_an_error_or_gets_in_by_accident(host: str, origin: str) -> None:
    refused = LOCAL.refusal(host, origin)
    named = authority(host)
    assert refused is not None or (named is not None and same_origin(origin, host))
    LOCAL.preflight(origin, host, ["GET"])
    assert PAGES.cors(origin)[0][0] == b"vary"


def test_cors_names_the_page_and_never_everybody() -> None:
    assert LOCAL.cors("https://app.example") == []
    assert PAGES.cors("https://evil.example") == [(b"vary", b"origin")]
    headers = dict(PAGES.cors("https://app.example"))
    assert headers[b"access-control-allow-origin"] == b"https://app.example"
    assert b"x-request-id" in headers[b"access-control-expose-headers"]


def test_a_preflight_allows_what_sdks_send() -> None:
    asked = "authorization, X-Stainless-Lang, x-stainless-retry-count, x-riverrun-on-disconnect, x-evil, x-stainless-\n"
    headers = dict(PAGES.preflight("https://app.example", asked, ["GET", "POST"]))
    allowed = headers[b"access-control-allow-headers"].split(b", ")
    assert headers[b"access-control-allow-methods"] == b"GET, POST"
    assert headers[b"access-control-allow-origin"] == b"https://app.example"
    assert {b"authorization", b"content-type", b"idempotency-key", b"last-event-id"} <= set(allowed)
    assert {b"x-stainless-lang", b"x-stainless-retry-count", b"x-riverrun-on-disconnect"} <= set(allowed)
    assert not {name for name in allowed if b"evil" in name or b"\r" in name}


def test_a_preflight_of_a_foreign_page_allows_nothing() -> None:
    for guard in (LOCAL, PAGES):
        names = {name for name, _ in guard.preflight("https://evil.example", None, ["GET"])}
        assert not any(name.startswith(b"access-control") for name in names)


@pytest.mark.parametrize("value", [None, "", "Bearer", "Bearer ", "Basic cnI6", KEY, "Token " + KEY])
def test_a_missing_key_is_a_401(value: str | None) -> None:
    with pytest.raises(Failure, match=r"^You didn't provide an API key.") as caught:
        Keys(OWNERS).tenant(value)
    assert caught.value.status == 401


@pytest.mark.parametrize("value", [KEY + "x", KEY[:-1], KEY.upper(), "\udcff", "é", "x" * 10_000])
def test_a_wrong_key_is_a_401_that_does_not_repeat_it(value: str) -> None:
    with pytest.raises(Failure, match=r"^Incorrect API key provided") as caught:
        Guard(loopback=True, keys=Keys(OWNERS)).tenant(f"Bearer {value}")
    failure = caught.value
    assert (failure.status, failure.code) == (401, "invalid_api_key")
    assert value[:3] not in failure.message or value == "é"


@pytest.mark.parametrize("value", [f"Bearer {KEY}", f"bearer {KEY}", f"Bearer  {KEY} "])
def test_a_known_key_opens(value: str) -> None:
    assert Keys(OWNERS).tenant(value) == "default"


def test_each_key_says_whose_it_is_and_its_digest_opens_nothing() -> None:
    keys = Keys(OWNERS | {digest("a-second-key-of-acme"): "acme"})
    assert [keys.tenant(f"Bearer {key}") for key in (OTHER, KEY, "a-second-key-of-acme")] == ["acme", "default", "acme"]
    for shown in (digest(KEY).hex(), f"sha256:{digest(KEY).hex()}"):
        with pytest.raises(Failure, match="Incorrect"):
            keys.tenant(f"Bearer {shown}")


@given(st.text(), st.text())
def test_no_header_opens_but_the_key_itself(scheme: str, key: str) -> None:
    with pytest.raises(Failure):
        Keys(OWNERS).tenant(f"{scheme} {key}")


def test_without_keys_everybody_may_and_a_key_is_not_shown() -> None:
    assert Keys().tenant(None) == "local"
    assert LOCAL.tenant("Bearer anything") == "local"
    assert not Keys()
    assert Keys(OWNERS)
    assert repr(Keys(OWNERS)) == "Keys(2)"


def test_keys_that_come_later_count() -> None:
    keys = Keys()
    guard = Guard(loopback=True, keys=keys)
    assert guard.tenant(None) == "local"
    keys._owners = Keys(OWNERS)._owners
    assert guard.tenant(f"Bearer {OTHER}") == "acme"
    with pytest.raises(Failure, match="didn't provide"):
        guard.tenant(None)
