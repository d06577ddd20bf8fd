"""Where to listen, and what can be wrong with it."""

import resource
import socket
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from riverrun.server.sockets import Address, HostError, Listen, bind, bind_all, is_loopback, raise_file_limit


def close(sockets: list[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


def test_any_free_port_is_reported() -> None:
    sockets, address = bind(Listen(port=0))
    assert address == Address("127.0.0.1", sockets[0].getsockname()[1])
    close(sockets)


def test_localhost_is_one_port_on_every_family() -> None:
    sockets, address = bind(Listen(host="localhost", port=0))
    assert {sock.getsockname()[1] for sock in sockets} == {address.port}
    close(sockets)


def test_an_address_in_use() -> None:
    sockets, address = bind(Listen(port=0))
    sockets[0].listen()
    with pytest.raises(HostError, match=f"127.0.0.1 port {address.port}: it is in use.*--port"):
        bind(Listen(port=address.port))
    close(sockets)


@pytest.mark.parametrize(
    ("listen", "message"),
    [
        (Listen(host="192.0.2.1", port=0), "no network card.*--host"),
        (Listen(host="not a host", port=0), "Can't listen on 'not a host'.*--host"),
        (Listen(host="a" * 70 + ".example", port=0), "Can't listen on.*--host"),
        (Listen(port=70_000), "70000 is no port"),
        (Listen(port=-1), "-1 is no port"),
        (Listen(uds="/nowhere/at/all.sock"), "No such file or directory.*--uds"),
        (Listen(uds="/" + "a" * 107), "longer than 107 bytes.*--uds"),
    ],
)
def test_an_address_that_can_not_be_had_is_one_line(listen: Listen, message: str) -> None:
    with pytest.raises(HostError, match=message) as refused:
        bind(listen)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.0.0.2", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.0.2.1", False),
    ],
)
def test_who_can_reach_it(host: str, loopback: bool) -> None:
    assert is_loopback(Listen(host=host)) == loopback


def test_urls() -> None:
    assert Address("::1", 80).url == "http://[::1]:80"
    assert Address("127.0.0.1", 8000).url == "http://127.0.0.1:8000"
    assert Address("", 0, "/run/x").url == "unix:/run/x"
    assert is_loopback(Listen(host="0.0.0.0", uds="/run/x"))


def test_a_path_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_text("precious")
    with pytest.raises(HostError, match="exists and is no socket"):
        bind(Listen(uds=str(path)))
    assert path.read_text() == "precious"


def test_a_socket_left_by_a_dead_server_is_taken_over(tmp_path: Path) -> None:
    path = str(tmp_path / "old.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    sockets, address = bind(Listen(uds=path))
    assert address.uds == path
    close(sockets)


def test_the_file_limit_becomes_the_hard_one() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before[1]), before[1]))
        assert raise_file_limit() == min(before[1], 1_048_576) or before[1] == resource.RLIM_INFINITY
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == before[1]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_processes_share_an_address_and_nobody_else_gets_it() -> None:
    every, address = bind_all(Listen(port=0), 3)
    try:
        assert {sock.getsockname() for sockets in every for sock in sockets} == {("127.0.0.1", address.port)}
        for sockets in every:
            for sock in sockets:
                sock.listen()
        for refused in (lambda: bind(Listen(port=address.port)), lambda: bind_all(Listen(port=address.port), 2)):
            with pytest.raises(HostError, match="is in use"):
                refused()
    finally:
        for sock in (sock for sockets in every for sock in sockets):
            sock.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere all have the same socket")
def test_connections_are_spread_among_them_and_wait_for_who_is_late() -> None:
    every, address = bind_all(Listen(port=0), 2)
    with ExitStack() as stack:
        for (sock,) in every:
            stack.enter_context(sock)
            sock.listen(64)
        for _ in range(32):  # nobody accepts yet
            stack.enter_context(socket.create_connection((address.host, address.port)))
        counts = []
        for (sock,) in every:
            accepted = 0
            with suppress(BlockingIOError):
                while True:
                    stack.enter_context(sock.accept()[0])
                    accepted += 1
            counts.append(accepted)
    assert sum(counts) == 32
    assert min(counts) > 0
