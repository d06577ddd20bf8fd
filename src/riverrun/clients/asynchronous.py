"""The transport that resumes, for an asynchronous client. What to do next is decided in `posts` and `resuming`; its
twin is `sync`. Time is the loop's, by way of anyio, on which the HTTP libraries run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, cast

import anyio

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
        self._stream = cast("httpx2.AsyncByteStream", answer.stream)
        self._state = state
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        library, state = self._transport.library, self._state
        while True:
            ending: Exception | None = None
            try:
                async for block in self._stream:
                    if ready := state.feed(block, anyio.current_time()):
                        yield ready
                    if state.asked_back:
                        break
            except library.TransportError as error:
                ending = error
            except Malformed as error:
                raise library.RemoteProtocolError(str(error)) from error
            if not state.broken(ending, isinstance(ending, library.TimeoutException)):
                return
            if not await self._resume():
                yield state.parting
                raise ending or library.RemoteProtocolError(DISAPPEARED)

    async def aclose(self) -> None:
        self._closed = True
        await self._stream.aclose()

    async def _resume(self) -> bool:
        """Whether there is another connection to read from now."""
        await self._stream.aclose()
        pause = self._state.lost(anyio.current_time())
        while pause is not None and not self._closed:
            await anyio.sleep(pause)
            try:
                answer = await self._transport.send(
                    resumption(self._transport.library, self._request, self._id, self._state)
                )
            except self._transport.library.TransportError:
                pause = self._state.lost(anyio.current_time())
                continue
            pause = self._state.answered(answer.status_code, answer.headers, anyio.current_time())
            if pause == 0:
                self._stream = cast("httpx2.AsyncByteStream", answer.stream)
                return True
            await answer.aclose()
        return False


class Transport:
    """Around a client of its own, which has the connections, proxies and certificates that the user asked for."""

    def __init__(self, library: Library, inner: httpx2.AsyncClient, posts: Posts) -> None:
        self.library = library
        self._inner = inner
        self._posts = posts
        self._body = cast(type[Body], type("ResumingBody", (Body, library.AsyncByteStream), {}))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        body = content(self.library, request)
        post = None if body is None else self._posts.begin(request.method, str(request.url), request.headers, body)
        return await (self.send(request) if post is None else self._post(request, post))

    async def send(self, request: httpx2.Request) -> httpx2.Response:
        return await self._inner.send(request, stream=True, follow_redirects=False)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _post(self, request: httpx2.Request, post: Post) -> httpx2.Response:
        while True:
            try:
                return await self._answer(request, post)
            except self.library.TimeoutException:
                post.failed()
                raise
            except self.library.TransportError:
                pause = post.lost(anyio.current_time())
                if pause is None:
                    raise
            await anyio.sleep(pause)

    async def _answer(self, request: httpx2.Request, post: Post) -> httpx2.Response:
        answer = await self.send(request)
        kind = post.answered(answer.status_code, answer.headers)
        if kind == "events":
            state = Resuming(self._posts.patience, timeouts(request).get("read"), self._posts.random)
            set_silence(request, state.silent_after)
            answer.stream = cast("httpx2.AsyncByteStream", self._body(self, request, answer, state))
        elif kind == "whole":
            stream = cast("httpx2.AsyncByteStream", answer.stream)
            try:
                answer.stream = self.library.ByteStream(b"".join([part async for part in stream]))
            finally:
                await stream.aclose()
        return answer
