"""Stored completions, asked for by the official SDK, whose every call must work and parse."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import aclosing, asynccontextmanager

import pytest
from openai import APIStatusError, AsyncOpenAI, AsyncStream
from openai.types.chat import ChatCompletion, ChatCompletionStoreMessage

from riverrun.backends.scripted import Fail, Say, Wait, steps, text
from riverrun.failures import Cause, Failure
from riverrun.stream.deltas import Text
from riverrun.tapes.contract import Tape
from riverrun.tapes.memory import MemoryTapes
from riverrun.tapes.retention import Retention
from riverrun.tapes.room import Room
from tests.runs.scenes import Scene
from tests.server.served import run
from tests.server.test_app import served

HI = Say((Text(0, b'"Hi"'),))
MESSAGES = [{"role": "user", "content": "hi"}]


@asynccontextmanager
async def client(scene: Scene) -> AsyncIterator[AsyncOpenAI]:
    async with served(scene) as address:
        url = f"http://{address.host}:{address.port}/v1"
        async with AsyncOpenAI(base_url=url, api_key="unused", max_retries=0) as made:
            yield made


def play(main: Coroutine[None, None, None]) -> None:
    run(main)


async def created(openai: AsyncOpenAI, **more: object) -> ChatCompletion:
    made: ChatCompletion = await openai.chat.completions.create(model="tiny", messages=MESSAGES, **more)  # type: ignore[call-overload]  # each test's own
    return made


def test_the_life_of_a_stored_completion() -> None:
    async def main() -> None:
        async with client(Scene(text("one two"))) as openai:
            asked = {"store": True, "temperature": 0.5, "metadata": {"a": "b"}, "user": "u", "seed": 3}
            made = await created(openai, **asked)
            assert made.metadata == {"a": "b"}
            assert (await created(openai)).metadata is None
            await created(openai, store=False)
            kept = openai.chat.completions
            found = await kept.retrieve(made.id)
            assert {**found.to_dict(), **made.to_dict()} == found.to_dict()
            assert found.metadata == {"a": "b"}
            more = found.model_extra or {}
            assert (more["temperature"], more["input_user"], more["seed"], more["tools"]) == (0.5, "u", 3, None)
            listed = await kept.list()
            assert [each.to_dict() for each in listed.data] == [found.to_dict()]
            updated = await kept.update(made.id, metadata={"c": "d"})
            assert updated.metadata == {"c": "d"}
            assert (await kept.retrieve(made.id)).metadata == {"c": "d"}
            assert (await kept.update(made.id, metadata=None)).metadata == {}
            gone = await kept.delete(made.id)
            assert (gone.id, gone.deleted, gone.object) == (made.id, True, "chat.completion.deleted")
            assert (await kept.list()).data == []
            with pytest.raises(APIStatusError) as raised:
                await kept.retrieve(made.id)
            assert raised.value.status_code == 404

    play(main())


def test_a_stored_stream() -> None:
    async def main() -> None:
        async with client(Scene(text("one two"))) as openai:
            stream = await openai.chat.completions.create(
                model="tiny",
                messages=MESSAGES,  # type: ignore[arg-type]  # a plain message
                store=True,
                stream=True,
            )
            assert isinstance(stream, AsyncStream)
            id = {chunk.id async for chunk in stream}.pop()
            found = await openai.chat.completions.retrieve(id)
            assert found.choices[0].message.content == "one two"
            assert found.usage is not None
            assert found.usage.completion_tokens == 2

    play(main())


def test_lists_page_by_page() -> None:
    async def main() -> None:
        async with client(Scene(text("one"))) as openai:
            ids = [
                (await created(openai, store=True, metadata={"odd": str(number % 2), "n": str(number)})).id
                for number in range(5)
            ]
            kept = openai.chat.completions
            assert [each.id async for each in kept.list(limit=2)] == ids
            assert [each.id async for each in kept.list(limit=2, order="desc")] == ids[::-1]
            page = await kept.list(limit=2, after=ids[1])
            assert ([each.id for each in page.data], page.has_more) == (ids[2:4], True)
            last = await kept.list(limit=2, after=ids[2])
            assert ([each.id for each in last.data], last.has_more) == (ids[3:], False)
            back = await kept.list(limit=2, after=ids[2], order="desc")
            assert [each.id for each in back.data] == [ids[1], ids[0]]
            assert [each.id async for each in kept.list(metadata={"odd": "1"})] == [ids[1], ids[3]]
            assert [each.id async for each in kept.list(metadata={"odd": "1", "n": "3"})] == [ids[3]]
            assert [each.id async for each in kept.list(model="tiny", limit=3)] == ids
            assert (await kept.list(model="other")).data == []
            extra = (await kept.list(limit=1)).model_extra or {}
            assert (extra["first_id"], extra["last_id"]) == (ids[0], ids[0])

    play(main())


def test_messages() -> None:
    parts = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
    ]
    asked = [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": parts, "name": "ann"},
        {"role": "user", "content": "hm"},
    ]

    async def main() -> None:
        async with client(Scene(text("one"))) as openai:
            made = await openai.chat.completions.create(model="tiny", messages=asked, store=True)  # type: ignore[arg-type]  # plain
            messages = openai.chat.completions.messages
            listed = [each async for each in messages.list(made.id, limit=1)]
            assert all(isinstance(each, ChatCompletionStoreMessage) for each in listed)
            assert len({each.id for each in listed}) == 3
            assert [each.content for each in listed] == ["be kind", None, "hm"]
            assert [part.to_dict() for part in listed[1].content_parts or []] == parts
            assert listed[0].content_parts is None
            assert [each.to_dict()["role"] for each in listed] == ["system", "user", "user"]
            turned = await messages.list(made.id, order="desc", after=listed[2].id)
            assert [each.id for each in turned.data] == [listed[1].id, listed[0].id]

    play(main())


BEYOND = [{str(n): "x" for n in range(17)}, {"k" * 65: "x"}, {"k": "v" * 513}, {"k": 3}, {"k": None}, [], "text"]


def test_metadata_beyond_the_official_limits() -> None:
    async def main() -> None:
        async with client(Scene(text("one"))) as openai:
            made = await created(openai, store=True, metadata={"a": "b"})
            for metadata in BEYOND:
                with pytest.raises(APIStatusError) as raised:
                    await openai.chat.completions.update(made.id, metadata=metadata)  # type: ignore[arg-type]
                assert raised.value.status_code == 400
            assert (await openai.chat.completions.retrieve(made.id)).metadata == {"a": "b"}

    play(main())


def test_metadata_at_the_official_limits() -> None:
    full = {f"{number:064}": "é" * 512 for number in range(16)}

    async def main() -> None:
        async with client(Scene(text("one"))) as openai:
            made = await created(openai, store=True)
            assert (await openai.chat.completions.update(made.id, metadata=full)).metadata == full

    play(main())


def test_only_what_was_to_be_stored_has_messages_and_metadata() -> None:
    async def main() -> None:
        async with client(Scene(text("one"))) as openai:
            made = await created(openai, store=False)
            for call in (
                openai.chat.completions.messages.list(made.id),
                openai.chat.completions.update(made.id, metadata={}),
            ):
                with pytest.raises(APIStatusError) as raised:
                    await call
                assert raised.value.status_code == 404
            assert (await openai.chat.completions.retrieve(made.id)).id == made.id

    play(main())


def test_what_failed_or_still_runs_is_not_listed() -> None:
    async def main() -> None:
        broken = steps(HI, Fail(Failure(Cause.UPSTREAM_INTERRUPTED, "cut")))
        async with client(Scene(broken)) as openai:
            with pytest.raises(APIStatusError):
                await created(openai, store=True)
            assert (await openai.chat.completions.list()).data == []
        scene = Scene(steps(HI, Wait(0.3)))
        async with client(scene) as openai:
            running = asyncio.ensure_future(created(openai, store=True))
            while not scene.runs.running:
                await asyncio.sleep(0.005)
            assert (await openai.chat.completions.list()).data == []
            with pytest.raises(APIStatusError):
                await running

    play(main())


class Counting(MemoryTapes):
    """Counts the stored tapes that were had from it."""

    had = 0

    async def stored(
        self, tenant: str, *, after: str | None = None, newest_first: bool = False
    ) -> AsyncGenerator[Tape, None]:
        async with aclosing(super().stored(tenant, after=after, newest_first=newest_first)) as tapes:
            async for tape in tapes:
                self.had += 1
                yield tape


def test_a_page_takes_no_more_tapes_than_it_shows_and_one() -> None:
    async def main() -> None:
        tapes = Counting(Room(2**20, 2**20), Retention())
        async with client(Scene(text("one"), tapes=tapes)) as openai:
            ids = [(await created(openai, store=True)).id for _ in range(12)]
            pages = [
                ({"limit": 1}, [ids[0]], 2),
                ({"limit": 2, "after": ids[5]}, ids[6:8], 3),
                ({"limit": 3, "order": "desc"}, ids[:-4:-1], 4),
                ({"limit": 2, "order": "desc", "after": ids[4]}, [ids[3], ids[2]], 3),
            ]
            for asked, shown, had in pages:
                tapes.had = 0
                page = await openai.chat.completions.list(**asked)  # type: ignore[arg-type]  # each row's own
                assert ([each.id for each in page.data], page.has_more, tapes.had) == (shown, True, had)
            with pytest.raises(APIStatusError) as raised:
                await openai.chat.completions.list(after="chatcmpl-unknown")
            assert raised.value.status_code == 400

    play(main())
