"""The transport that resumes, for a synchronous client. What to do next is decided in `posts` and `resuming`; its twin
is `asynchronous`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from riverrun.clients.events import Malformed
from riverrun.clients.posts import Post, Posts, completion_id
from riverrun.clients.requests import content, resumption, set_silence, timeouts
from riverrun.clients.resuming import DISAPPEARED, Resuming

if TYPE_CHECKING:
    import httpx2

    from riverrun.clients.library import Library


class Body:
    """An answer's bytes, from as many connections as it takes."""

    def __init__(self, transport: Transport, request: httpx2.Request, answer: httpx2.Response, state: Resuming) -> None:
        self._transport = transport
        self._request = request
        self._id = completion_id(answer.headers) or ""
        self._stream = cast("httpx2.SyncByteStream", answer.stream)
        self._state = state
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        library, state = self._transport.library, self._state
        while True:
            ending: Exception | None = None
            try:
                for block in self._stream:
                    if ready := state.feed(block, time.monotonic()):
                        yield ready
                    if state.asked_back:
                        break
            except library.TransportError as error:
                ending = error
            except Malformed as error:
                raise library.RemoteProtocolError(str(error)) from error
            if not state.broken(ending, isinstance(ending, library.TimeoutException)):
                return
            if not self._resume():
                yield state.parting
                raise ending or library.RemoteProtocolError(DISAPPEARED)

    def close(self) -> None:
        self._closed = True
        self._stream.close()

    def _resume(self) -> bool:
        """Whether there is another connection to read from now."""
        self._stream.close()
        pause = self._state.lost(time.monotonic())
        while pause is not None and not self._closed:
            time.sleep(pause)
            try:
                answer = self._transport.send(resumption(self._transport.library, self._request, self._id, self._state))
            except self._transport.library.TransportError:
                pause = self._state.lost(time.monotonic())
                continue
            pause = self._state.answered(answer.status_code, answer.headers, time.monotonic())
            if pause == 0:
                self._stream = cast("httpx2.SyncByteStream", answer.stream)
                return True
            answer.close()
        return False


class Transport:
    """Around a client of its own, which has the connections, proxies and certificates that the user asked for."""

    def __init__(self, library: Library, inner: httpx2.Client, posts: Posts) -> None:
        self.library = library
        self._inner = inner
        self._posts = posts
        self._body = cast(type[Body], type("ResumingBody", (Body, library.SyncByteStream), {}))

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        body = content(self.library, request)
        post = None if body is None else self._posts.begin(request.method, str(request.url), request.headers, body)
        return self.send(request) if post is None else self._post(request, post)

    def send(self, request: httpx2.Request) -> httpx2.Response:
        return self._inner.send(request, stream=True, follow_redirects=False)

    def close(self) -> None:
        self._inner.close()

    def _post(self, request: httpx2.Request, post: Post) -> httpx2.Response:
        while True:
            try:
                return self._answer(request, post)
            except self.library.TimeoutException:
                post.failed()
                raise
            except self.library.TransportError:
                pause = post.lost(time.monotonic())
                if pause is None:
                    raise
            time.sleep(pause)

    def _answer(self, request: httpx2.Request, post: Post) -> httpx2.Response:
        answer = self.send(request)
        kind = post.answered(answer.status_code, answer.headers)
        if kind == "events":
            state = Resuming(self._posts.patience, timeouts(request).get("read"), self._posts.random)
            set_silence(request, state.silent_after)
            answer.stream = cast("httpx2.SyncByteStream", self._body(self, request, answer, state))
        elif kind == "whole":
            stream = cast("httpx2.SyncByteStream", answer.stream)
            try:
                answer.stream = self.library.ByteStream(b"".join(stream))
            finally:
                stream.close()
        return answer
