"""Heads of answers, byte for byte."""

import pytest

from riverrun.server.lines import header_lines, status_line


def test_status_lines() -> None:
    assert status_line(404) == b"HTTP/1.1 404 Not Found\r\n"
    assert status_line(529) == b"HTTP/1.1 529 \r\n"


def test_each_header_is_a_line() -> None:
    assert header_lines([]) == b""
    assert header_lines([(b"a", b"b"), (b"x-c", b"d: \xff\t")]) == b"a: b\r\nx-c: d: \xff\t\r\n"


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("evil", [b"a\r\nx: b", b"a\nb", b"a\rb", b"a\0b", b"a\x7fb", b"a\r\n", b"\r\n\r\n"])
def test_no_header_is_more_or_less_than_a_line(evil: bytes, place: int) -> None:
    header = (evil, b"a") if place == 0 else (b"a", evil)
    with pytest.raises(ValueError, match="no header may have"):
        header_lines([(b"ok", b"ok"), header])


@pytest.mark.parametrize("name", [b"", b"a b", b"a:b", b"a\tb"])
def test_a_name_is_a_token(name: bytes) -> None:
    with pytest.raises(ValueError, match="no header may have"):
        header_lines([(name, b"ok")])
