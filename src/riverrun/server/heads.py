"""Whether a request's head may be answered at all (SEC8): framing that two parsers could read in two ways is refused.

Pure. llhttp already refuses bad grammar (bare CR or LF, obs-fold, CL with TE, two lengths, bad chunk sizes); here are
the rules that it leaves to its user. Which hosts and origins are welcome is `guard`'s.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from riverrun.failures import Cause, Failure
from riverrun.server.limits import HostLimits

Headers = Sequence[tuple[bytes, bytes]]

METHODS = {name.encode("ascii"): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}
"""Without CONNECT (a tunnel), TRACE (an echo of credentials) and the WebDAV, RTSP and ICE methods llhttp also knows."""

VERSIONS = ("1.0", "1.1")
IDENTITY = (b"", b"identity")
MOST_DIGITS = 18
"""Of a Content-Length."""
HOST = re.compile(rb"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
ONCE = "Authorization, Content-Type, Origin and other headers with one meaning may be sent only once."
SINGLE = {
    b"authorization": ONCE,
    b"content-encoding": ONCE,
    b"content-length": "A request must have at most one Content-Length, and it must be a number.",
    b"content-type": ONCE,
    b"host": "A request must have exactly one Host header, and this one has more.",
    b"idempotency-key": ONCE,
    b"last-event-id": ONCE,
    b"origin": ONCE,
    b"transfer-encoding": "The only Transfer-Encoding accepted is one `chunked`, without a Content-Length.",
}
"""Headers whose second copy another reader might prefer to ours, and what is said of one."""

UPGRADE = re.compile(rb"\r\nupgrade:", re.IGNORECASE)
HEAD_END = b"\r\n\r\n"


def broken(message: str) -> Failure:
    """A 400: the bytes are not one unambiguous HTTP request."""
    return Failure(Cause.BAD_REQUEST, message, code="invalid_http_request")


def head_too_large(what: str) -> Failure:
    """A 431: the request line and headers are over a limit."""
    return Failure(Cause.TOO_LARGE, f"{what}. Send fewer or shorter headers.", status=431, code="headers_too_large")


def body_too_large(limit: int) -> Failure:
    """A 413, for an announced or a counted body."""
    return Failure(Cause.TOO_LARGE, f"The request body is over the limit of {limit} bytes. Send a shorter request.")


class Head(msgspec.Struct, gc=False):
    """The head of one request as the parser has it: names in lower case, values as sent."""

    method: bytes
    target: bytes
    version: str
    headers: list[tuple[bytes, bytes]]
    keep_alive: bool


def check_head(method: bytes, target: bytes, version: str, headers: Headers, limits: HostLimits) -> None:
    """Names in lower case, values as sent. Raises Failure (400, 405, 413, 415, 505) for a head we will not answer."""
    _check_line(method, target, version)
    said = dict(headers)
    if len(said) < len(headers):
        _refuse_second(headers)
    host = said.get(b"host")
    if host is None:
        raise broken("A request must have exactly one Host header, and this one has none.")
    if not HOST.fullmatch(host):
        raise broken("The Host header is not a host name or address with an optional port.")
    length = said.get(b"content-length")
    if b"transfer-encoding" in said:
        _check_coding(version, said[b"transfer-encoding"], length)
    if length is not None:
        _check_length(length, limits)
    if b"content-encoding" in said and said[b"content-encoding"].strip().lower() not in IDENTITY:
        raise Failure(
            Cause.BAD_REQUEST,
            "Request bodies with a Content-Encoding are not accepted. Send the JSON uncompressed.",
            status=415,
            code="unsupported_content_encoding",
        )


def _refuse_second(headers: Headers) -> None:
    """Raises Failure where one of SINGLE was sent twice. Others may be."""
    seen = set()
    for name, _ in headers:
        if name in SINGLE and name in seen:
            raise broken(SINGLE[name])
        seen.add(name)


def _check_line(method: bytes, target: bytes, version: str) -> None:
    if version not in VERSIONS:
        message = f"HTTP/{version} is not spoken here. Use HTTP/1.1."
        raise Failure(Cause.BAD_REQUEST, message, status=505, code="http_version_not_supported")
    if method not in METHODS:
        raise Failure(Cause.WRONG_METHOD, f"The method {method.decode('ascii', 'replace')} is not supported.")
    if (
        not (target[:1] == b"/" or (target == b"*" and method == b"OPTIONS"))
        or target.find(b"#") >= 0  # `in` for bytes raises and catches an error inside
        or not target.isascii()
    ):
        raise broken("The request target must be a path without a fragment, like /v1/models: this server is no proxy.")


# RFC 9112, 6.1 and 6.3: what says how long the body is must say it once, and in a way everyone knows.


def _check_coding(version: str, coding: bytes, length: bytes | None) -> None:
    if version == "1.0":
        raise broken("Transfer-Encoding is not part of HTTP/1.0. Send a Content-Length, or use HTTP/1.1.")
    if length is not None or coding.lower() != b"chunked":
        raise broken(SINGLE[b"transfer-encoding"])


def _check_length(length: bytes, limits: HostLimits) -> None:
    if not (length.isdigit() and len(length) <= MOST_DIGITS):
        raise broken(SINGLE[b"content-length"])
    if int(length) > limits.body:
        raise body_too_large(limits.body)


def without_upgrade(block: bytes) -> bytes:
    """The first bytes of a request with its Upgrade header renamed, so that llhttp reads the body as a body.

    "A server MAY ignore a received Upgrade header field" (RFC 9110, 7.8). The Java HTTP client offers h2c with each
    first request, and llhttp would take the body for the new protocol. Only a head that came whole is changed.
    """
    end = block.find(HEAD_END)
    if end < 0 or block[:end].lower().find(b"pgrade") < 0:
        return block
    return UPGRADE.sub(b"\r\nx-upgrade-ignored:", block[:end]) + block[end:]
