from __future__ import annotations

import pytest

from riverrun.backends.address import Address, parse


@pytest.mark.parametrize(
    ("base_url", "address", "prefix", "authority"),
    [
        ("http://h", Address("h", 80), "", "h"),
        ("https://api.example.com/v1/", Address("api.example.com", 443, tls=True), "/v1", "api.example.com"),
        ("https://h:80", Address("h", 80, tls=True), "", "h:80"),
        ("http://[::1]:8080/a/b", Address("::1", 8080), "/a/b", "[::1]:8080"),
        ("unix:/run/e.sock:/v1", Address("localhost", socket="/run/e.sock"), "/v1", "localhost"),
        ("unix:/run/e.sock", Address("localhost", socket="/run/e.sock"), "", "localhost"),
        ("unix:/run/a:b/e.sock:/", Address("localhost", socket="/run/a:b/e.sock"), "", "localhost"),
    ],
)
def test_the_forms_of_a_base_url(base_url: str, address: Address, prefix: str, authority: str) -> None:
    assert parse(base_url) == (address, prefix)
    assert address.authority == authority


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "h/v1",
        "ftp://h",
        "http://",
        "http://h:port",
        "http://h:70000",
        "http://[::1",
        "http://user:secret@h",
        "http://h/v1?key=secret",
        "http://h#secret",
        "http://h..secret",
        f"http://{'secret' * 11}/",
        "http://sécret.example",
        "unix:secret.sock",
        "unix:",
        f"unix:/{'secret' * 18}",
        "unix:/secret\0",
    ],
)
def test_anything_else_is_refused_without_repeating_it(base_url: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is for people
        parse(base_url)
    assert "secret" not in str(caught.value)
