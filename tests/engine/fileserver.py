"""A real HTTP server on loopback whose answers are scripted by path: whole, cut short, wrong, or refused."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[BaseHTTPRequestHandler], None]


class FileServer:
    """`answers` maps paths to what is done; `seen` lists (path, Range header) of every request."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.seen: list[tuple[str, str | None]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.seen.append((self.path, self.headers.get("range")))
                server.answers.get(self.path, refuse(404))(self)

            do_HEAD = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def run(self) -> None:
        self._http.serve_forever(poll_interval=0.02)

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@contextlib.contextmanager
def serving() -> Iterator[FileServer]:
    server = FileServer()
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()


def refuse(status: int) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        send(handler, status, b"", {})

    return answer


def whole(body: bytes, headers: dict[str, str] | None = None) -> Answer:
    """Ignores Range."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        send(handler, 200, body, headers or {})

    return answer


def ranged(body: bytes, drop_after: int | None = None, etag: str | None = None) -> Answer:
    """Honours Range and If-Range; closes the connection after `drop_after` bytes of each answer."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        tag = {"etag": etag} if etag else {}
        match = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("range") or "")
        same = handler.headers.get("if-range") in (None, etag)
        start = int(match[1]) if match and same else 0
        if start >= len(body):
            send(handler, 416, b"", tag)
        elif start:
            place = {"content-range": f"bytes {start}-{len(body) - 1}/{len(body)}"}
            send(handler, 206, body[start:], {**tag, **place}, drop_after)
        else:
            send(handler, 200, body, tag, drop_after)

    return answer


def in_turn(*answers: Answer) -> Answer:
    """Each request gets the next answer."""
    rest = list(answers)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        rest.pop(0)(handler)

    return answer


def send(
    handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str], drop_after: int | None = None
) -> None:
    handler.send_response(status)
    handler.send_header("content-length", headers.pop("content-length", str(len(body))))
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    if handler.command == "HEAD":
        return
    with contextlib.suppress(ConnectionError):
        handler.wfile.write(body[:drop_after])
    if drop_after is not None:
        handler.close_connection = True
