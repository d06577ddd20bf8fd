"""Why no connection could be made, in plain words and without the upstream's address."""

from __future__ import annotations

import errno
import socket
import ssl

from riverrun.backends.content import told
from riverrun.backends.tunnel import NoTunnel
from riverrun.failures import Cause, Failure
from riverrun.routing.target import Target

REASONS: tuple[tuple[type[OSError], str], ...] = (
    (ssl.SSLCertVerificationError, "its TLS certificate is not trusted; check base_url and the CA bundle"),
    (ssl.SSLError, "the TLS handshake failed; check that base_url's port speaks TLS"),
    (socket.gaierror, "its host name could not be resolved; check base_url"),
    (ConnectionRefusedError, "the connection was refused; check that it is running"),
    (FileNotFoundError, "its socket does not exist; check that it is running"),
    (PermissionError, "this user may not open its socket"),
    (ConnectionError, "the connection was closed while it was being made"),
)
OUT_OF_FILES = frozenset({errno.EMFILE, errno.ENFILE})


def unreachable(error: OSError, target: Target) -> Failure:
    """The failure for an error of connecting, of the name's resolution or of TLS."""
    if error.errno in OUT_OF_FILES:  # ours, and no reason to think ill of the upstream
        return Failure(Cause.OVERLOADED, "The server has too many open files; try again soon.", retry_after=1.0)
    if isinstance(error, NoTunnel):
        return Failure(Cause.UPSTREAM_UNREACHABLE, told(target, str(error.strerror)))
    known = (reason for kind, reason in REASONS if isinstance(error, kind))
    fallback = f"the connection failed ({errno.errorcode.get(error.errno or 0, type(error).__name__)})"
    return Failure(Cause.UPSTREAM_UNREACHABLE, told(target, next(known, fallback)))


def too_slow(target: Target) -> Failure:
    """The failure where `deadlines.connect` passed, or the kernel gave up first."""
    return Failure(
        Cause.UPSTREAM_TIMEOUT, told(target, "no connection could be made in time; check that it is running")
    )
