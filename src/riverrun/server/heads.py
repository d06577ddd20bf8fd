"""Whether a request's head may be answered at all (SEC8): framing that two parsers could read in two ways is refused.

Pure. llhttp already refuses bad grammar (bare CR or LF, obs-fold, CL with TE, two lengths, bad chunk sizes); here are
the rules that it leaves to its user. Which hosts and origins are welcome is `guard`'s.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from riverrun.failures import Cause, Failure
from riverrun.server.limits import HostLimits

Headers = Sequence[tuple[bytes, bytes]]

METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})
"""Without CONNECT (a tunnel), TRACE (an echo of credentials) and the WebDAV, RTSP and ICE methods llhttp also knows."""

VERSIONS = ("1.0", "1.1")
LENGTH = re.compile(rb"[0-9]{1,18}")
HOST = re.compile(rb"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
SINGLE = frozenset({b"authorization", b"content-type", b"idempotency-key", b"last-event-id", b"origin"})
"""Headers whose second copy another reader might prefer to ours; Host and Content-Length have rules of their own."""

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


def check_head(method: bytes, target: bytes, version: str, headers: Headers, limits: HostLimits) -> None:
    """Names in lower case, values as sent. Raises Failure (400, 405, 413, 415, 505) for a head we will not answer."""
    _check_line(method, target, version)
    _check_host([value for name, value in headers if name == b"host"])
    _check_framing(version, headers, limits)
    _check_single([name for name, _ in headers if name in SINGLE])
    for name, value in headers:
        if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            raise Failure(
                Cause.BAD_REQUEST,
                "Request bodies with a Content-Encoding are not accepted. Send the JSON uncompressed.",
                status=415,
                code="unsupported_content_encoding",
            )


def _check_line(method: bytes, target: bytes, version: str) -> None:
    if version not in VERSIONS:
        message = f"HTTP/{version} is not spoken here. Use HTTP/1.1."
        raise Failure(Cause.BAD_REQUEST, message, status=505, code="http_version_not_supported")
    if method not in METHODS:
        raise Failure(Cause.WRONG_METHOD, f"The method {method.decode('ascii', 'replace')} is not supported.")
    if not (target.startswith(b"/") or (target == b"*" and method == b"OPTIONS")) or b"#" in target:
        raise broken("The request target must be a path without a fragment, like /v1/models: this server is no proxy.")


def _check_host(hosts: list[bytes]) -> None:
    if len(hosts) != 1:
        raise broken(f"A request must have exactly one Host header, and this one has {len(hosts)}.")
    if not HOST.fullmatch(hosts[0]):
        raise broken("The Host header is not a host name or address with an optional port.")


def _check_single(names: list[bytes]) -> None:
    if len(names) != len(set(names)):
        raise broken("Authorization, Content-Type, Origin and other headers with one meaning may be sent only once.")


def _check_framing(version: str, headers: Headers, limits: HostLimits) -> None:
    """RFC 9112, 6.1 and 6.3: what says how long the body is must say it once, and in a way everyone knows."""
    codings = [value for name, value in headers if name == b"transfer-encoding"]
    lengths = [value for name, value in headers if name == b"content-length"]
    if codings and version == "1.0":
        raise broken("Transfer-Encoding is not part of HTTP/1.0. Send a Content-Length, or use HTTP/1.1.")
    if codings and (lengths or [coding.lower() for coding in codings] != [b"chunked"]):
        raise broken("The only Transfer-Encoding accepted is one `chunked`, without a Content-Length.")
    if len(lengths) > 1 or (lengths and not LENGTH.fullmatch(lengths[0])):
        raise broken("A request must have at most one Content-Length, and it must be a number.")
    if lengths and int(lengths[0]) > limits.body:
        raise body_too_large(limits.body)


def without_upgrade(block: bytes) -> bytes:
    """The first bytes of a request with its Upgrade header renamed, so that llhttp reads the body as a body.

    "A server MAY ignore a received Upgrade header field" (RFC 9110, 7.8). The Java HTTP client offers h2c with each
    first request, and llhttp would take the body for the new protocol. Only a head that came whole is changed.
    """
    end = block.find(HEAD_END)
    if end < 0 or b"pgrade" not in block[:end].lower():
        return block
    return UPGRADE.sub(b"\r\nx-upgrade-ignored:", block[:end]) + block[end:]
