"""Where the server listens, and how many files it may open: sockets bound before anything is started.

Each thing that can be wrong with an address is one HostError with one line. Knows no HTTP.
"""

from __future__ import annotations

import errno
import os
import resource
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import cast

import msgspec

LONGEST_PATH = 107
"""Bytes of a Unix socket's path on Linux (unix(7)); elsewhere it is even less, and then the system says so."""

ENOUGH_FILES = 1024
"""Descriptors under which a busy server runs out; each connection, upstream and tape takes one."""

REASONS = {
    errno.EADDRINUSE: "it is in use. Stop the program that listens there, or choose another with --port",
    errno.EACCES: "permission denied. Ports below 1024 need more rights: choose a higher one with --port",
    errno.EADDRNOTAVAIL: "no network card of this machine has this address. Check --host",
}


class HostError(Exception):
    """The server can't start, in one line that says why and what to do."""


class Listen(msgspec.Struct, frozen=True):
    """Where to listen: a host name or address and a port (0: any free one), or else the path of a Unix socket."""

    host: str = "127.0.0.1"
    port: int = 8000
    uds: str | None = None


class Address(msgspec.Struct, frozen=True):
    """Where a server really listens. `port` is 0 and `url` names the socket's path when `uds` is set."""

    host: str
    port: int
    uds: str | None = None

    @property
    def url(self) -> str:
        if self.uds is not None:
            return f"unix:{self.uds}"
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"


def is_loopback(listen: Listen) -> bool:
    """Whether nobody but this machine can reach it. Raises HostError for a host that can't be resolved."""
    if listen.uds is not None:
        return True
    return all(ip_address(str(address[0]).partition("%")[0]).is_loopback for _, address in _resolve(listen))


def bind(listen: Listen, *, share: bool = False) -> tuple[list[socket.socket], Address]:
    """The bound sockets (not yet listening) and their address; `share`: beside others of ours. Raises HostError."""
    if listen.uds is not None:
        return [_bind_path(listen.uds)], Address("", 0, listen.uds)
    sockets: list[socket.socket] = []
    port = listen.port
    for family, address in _resolve(listen):
        try:
            sock = _bind_address(family, (address[0], port, *address[2:]), share)
        except OSError as error:
            if sockets and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                continue  # `localhost` on a machine without IPv6
            for bound in sockets:
                bound.close()
            raise HostError(f"Can't listen on {listen.host} port {port}: {_reason(error)}.") from None
        sockets.append(sock)
        port = sock.getsockname()[1]
    return sockets, Address(listen.host, port)


def bind_all(listen: Listen, count: int) -> tuple[list[list[socket.socket]], Address]:
    """As `bind`, the sockets of so many processes that share the address. Raises HostError.

    On Linux each has sockets of its own, among which the kernel spreads the connections (SO_REUSEPORT, socket(7));
    elsewhere that does not balance, and all have the same ones.
    """
    first, address = bind(listen)
    if sys.platform != "linux" or listen.uds is not None:
        return [[sock.dup() for sock in first] if number else first for number in range(count)], address
    for sock in first:  # they have found out that nobody else listens there, which the shared ones would not
        sock.close()
    shared = msgspec.structs.replace(listen, port=address.port)
    every: list[list[socket.socket]] = []
    try:
        for _ in range(count):
            every.append(bind(shared, share=True)[0])
    except HostError:
        for sock in (sock for sockets in every for sock in sockets):
            sock.close()
        raise
    return every, address


def _resolve(listen: Listen) -> Iterator[tuple[socket.AddressFamily, tuple[str | int, ...]]]:
    """Family and address, IPv4 first, each once."""
    if not 0 <= listen.port <= 65535:
        raise HostError(f"{listen.port} is no port. Choose one from 1 to 65535, or 0 for any free one.")
    try:
        found = socket.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        reason = error.strerror if isinstance(error, socket.gaierror) else "not a host name"
        raise HostError(f"Can't listen on {listen.host!r}: {reason}. Check --host.") from None
    unique = {(family, cast("tuple[str | int, ...]", address)) for family, _, _, _, address in found}
    yield from sorted(unique, key=lambda pair: (pair[0] != socket.AF_INET, pair))


def _bind_address(family: socket.AddressFamily, address: tuple[str | int, ...], share: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if family == socket.AF_INET6:  # `::` means every address, also the IPv4 ones
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address[0] != "::")
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def lose_after(sock: socket.socket, seconds: float) -> None:
    """A peer that takes nothing for so long is gone, also where the kernel holds all that it has not taken: one that
    vanished without a FIN, or sleeps (X26). On Linux; elsewhere the keep-alive finds out."""
    if hasattr(socket, "TCP_USER_TIMEOUT") and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))


def _bind_path(path: str) -> socket.socket:
    """A Unix socket for this user only. A path that a dead server left behind is taken over."""
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise HostError(f"The socket path {path} is longer than {LONGEST_PATH} bytes. Choose a shorter one with --uds.")
    _clear_path(Path(path))
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        sock.bind(path)
    except OSError as error:
        sock.close()
        raise HostError(f"Can't listen on the socket {path}: {error.strerror}. Choose another with --uds.") from None
    finally:
        os.umask(mask)
    sock.setblocking(False)
    return sock


def _clear_path(path: Path) -> None:
    """Removes a socket that nobody listens on. Raises HostError when the path is taken."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return  # nothing is there, or binding will say what is wrong
    if not stat.S_ISSOCK(mode):
        raise HostError(f"{path} exists and is no socket. Choose another path with --uds.")
    if _answers(path):
        raise HostError(f"The socket {path} is in use by a running server. Stop it, or choose another with --uds.")
    path.unlink(missing_ok=True)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except PermissionError:
            raise HostError(f"The socket {path} belongs to somebody else. Choose another with --uds.") from None
        except TimeoutError:
            return True  # its backlog is full, so somebody listens
    return True


def _reason(error: OSError) -> str:
    return REASONS.get(error.errno or 0) or (error.strerror or str(error)).lower()


def raise_file_limit() -> int:
    """Raises this process's limit of open files to the hard one, and returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # some systems name a hard limit that they do not grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return soft if soft != resource.RLIM_INFINITY else 1_048_576
