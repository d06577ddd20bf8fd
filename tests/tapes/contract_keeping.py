"""How every kind of tapes keeps them: whose they are, their keys, their expiry, their deletion, and notes."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from riverrun.failures import Cause, Failure
from riverrun.stream.flow import Cancelled, Finished, Refused
from riverrun.tapes.contract import Taken
from riverrun.tapes.retention import Retention
from tests.tapes.reader import ANSWER, Ears, Reader, head
from tests.tapes.setting import DIGEST, KEY, OTHER_KEY, Setting, TapesScenarios, opened, own, written


class KeepingContract(TapesScenarios):
    """What becomes of tapes, and of what is kept beside them."""

    def test_a_tape_belongs_to_its_tenant(self) -> None:
        async def scenario(setting: Setting) -> None:
            tape = await own(setting.here, store=True)
            for tapes in (setting.here, setting.there):
                assert await tapes.open("other", "chatcmpl-1") is None
                assert await tapes.open("acme", "chatcmpl-2") is None
                assert [each async for each in tapes.stored("other")] == []
                await tapes.delete("other", "chatcmpl-1")
            tape.append(ANSWER)
            tape.close(Finished(), None)
            await written(tape)
            for tapes in (setting.here, setting.there):
                assert await tapes.open("other", "chatcmpl-1") is None
                await tapes.delete("other", "chatcmpl-1")
                assert (await opened(tapes)).last == 4

        self.run(scenario)

    @pytest.mark.parametrize("id", ["", ".", "..", "../x", "a/b", "x" * 5000, "a\0b", "ü", "*", ".lock"])
    def test_an_id_that_a_client_made_up_is_unknown(self, id: str) -> None:
        async def scenario(setting: Setting) -> None:
            await own(setting.here)
            assert await setting.here.open("acme", id) is None
            await setting.here.delete("acme", id)

        self.run(scenario)

    def test_one_key_one_tape(self) -> None:
        async def scenario(setting: Setting) -> None:
            both = (setting.here, setting.there)
            made = await asyncio.gather(
                *(
                    both[number % 2].create(head(f"chatcmpl-{number}", key=KEY, digest=DIGEST), Ears())
                    for number in range(50)
                )
            )
            tapes = [each for each in made if not isinstance(each, Taken)]
            assert len(tapes) == 1
            first = tapes[0].head.id
            assert [each for each in made if isinstance(each, Taken)] == [Taken(first, DIGEST)] * 49
            await own(setting.here, "chatcmpl-x", key=OTHER_KEY)
            tapes[0].close(Cancelled(), None)
            await Reader().on(await opened(setting.there, first)).done()
            assert await setting.there.create(head("chatcmpl-y", key=KEY), Ears()) == Taken(first, DIGEST)

        self.run(scenario)

    def test_a_key_for_which_nothing_was_generated_is_free_again(self) -> None:
        async def scenario(setting: Setting) -> None:
            tape = await own(setting.here, key=KEY)
            tape.close(Refused(Failure(Cause.UPSTREAM_ERROR, "no")), None)
            await setting.here.forget_key(tape.head)
            second = await own(setting.there, "chatcmpl-2", key=KEY)
            await setting.here.forget_key(tape.head)  # of the first, which has the key no more
            taken = await setting.here.create(head("chatcmpl-3", key=KEY), Ears())
            assert taken == Taken(second.head.id, "")

        self.run(scenario)

    def test_an_ended_tape_expires_then_is_remembered_then_unknown(self) -> None:
        async def scenario(setting: Setting) -> None:
            tape = await own(setting.here)
            live = await own(setting.here, "chatcmpl-2")
            await setting.passes(100)
            tape.append(ANSWER)
            tape.close(Finished(), None)
            await written(tape)
            await setting.passes(3)
            await opened(setting.here)
            await opened(setting.there)
            await setting.passes(60)
            for tapes in (setting.here, setting.there):
                with pytest.raises(Failure) as raised:
                    await tapes.open("acme", "chatcmpl-1")
                assert raised.value.status == 410
                assert await tapes.open("other", "chatcmpl-1") is None
            await setting.passes(60)
            assert await setting.here.open("acme", "chatcmpl-1") is None
            assert await setting.there.open("acme", "chatcmpl-1") is None
            live.append(ANSWER)
            assert live.written == 4

        self.run(scenario, Retention(ended=10, keyed=20, stored=1000, gone=60))

    def test_a_key_outlives_its_tape_by_as_long_as_that_is_remembered(self) -> None:
        async def scenario(setting: Setting) -> None:
            tape = await own(setting.here, key=KEY, digest=DIGEST)
            tape.close(Cancelled(), None)
            await setting.passes(60)
            assert await setting.there.create(head("chatcmpl-2", key=KEY), Ears()) == Taken("chatcmpl-1", DIGEST)
            with pytest.raises(Failure) as raised:
                await setting.there.open("acme", "chatcmpl-1")
            assert raised.value.status == 410
            await setting.passes(90)
            await own(setting.there, "chatcmpl-3", key=KEY)

        self.run(scenario, Retention(ended=1, keyed=10, stored=1, gone=60))

    def test_stored_tapes_are_kept_longer(self) -> None:
        async def scenario(setting: Setting) -> None:
            tape = await own(setting.here, store=True)
            tape.append(ANSWER)
            tape.close(Finished(), None)
            await setting.passes(60)
            assert (await (await opened(setting.there)).ended()).choices[0].message.content == "Hi"

        self.run(scenario, Retention(ended=1, keyed=1, stored=1000, gone=60))

    @pytest.mark.parametrize("live", [True, False])
    @pytest.mark.parametrize("elsewhere", [False, True])
    def test_what_is_deleted_is_gone_at_once(self, live: bool, elsewhere: bool) -> None:
        async def scenario(setting: Setting) -> None:
            ears = Ears()
            tape = await own(setting.here, listener=ears, key=KEY, store=True)
            tape.append(ANSWER[:1])
            tape.append(ANSWER[1:])
            await written(tape)
            if not live:
                tape.close(Finished(), None)
                await Reader().on(tape).done()
            readers = [Reader(1).on(await opened(tapes)) for tapes in (setting.here, setting.there)]
            for reader in readers:
                await reader.until(1)
            await (setting.there if elsewhere else setting.here).delete("acme", "chatcmpl-1")
            for tapes in (setting.here, setting.there):
                assert await tapes.open("acme", "chatcmpl-1") is None
                assert [each async for each in tapes.stored("acme")] == []
            for reader in readers:  # they were slow, and what they did not get is gone
                reader.room = 9
                reader.following.more()
                await reader.done()
            for reader in readers:  # the news may still have been on its way to it; what has ended may lie in one piece
                assert reader.lasts in ([1], [1, 4], [4])
                assert reader.failures[0].code == "deleted" if live or reader.lasts == [1] else reader.endings
            if live:
                await ears.until("broken")
                with pytest.raises(Failure, match="deleted"):
                    tape.append(ANSWER)
                tape.close(Cancelled(), None)
                assert await setting.there.open("acme", "chatcmpl-1") is None
            await own(setting.there, "chatcmpl-2", key=KEY)

        self.run(scenario)

    def test_notes(self) -> None:
        async def scenario(setting: Setting) -> None:
            here, there = setting.here, setting.there
            assert await here.noted("a/b") is None
            assert not await here.drop_note("a/b")
            await here.note("a/b", b"1", 1000)
            await there.note("c", b"\0\xff", 1000)
            assert (await there.noted("a/b"), await here.noted("c")) == (b"1", b"\0\xff")
            await here.note("a/b", b"2", 1000)
            assert await there.noted("a/b") == b"2"
            dropped = await asyncio.gather(*(tapes.drop_note("a/b") for tapes in (here, there) * 5))
            assert dropped.count(True) == 1
            assert await there.noted("a/b") is None
            await here.note("soon", b"3", 5)
            await setting.passes(60)
            assert await there.noted("soon") is None
            assert not await there.drop_note("soon")
            assert await here.noted("c") == b"\0\xff"

        self.run(scenario)

    def test_stored_tapes_are_listed_in_their_order(self) -> None:
        async def scenario(setting: Setting) -> None:
            for number in (3, 1, 2):
                tape = await own(setting.here, f"chatcmpl-{number}", store=True)
                tape.close(Cancelled(), None)
                await setting.passes(1)
            await own(setting.here, "chatcmpl-4")
            await own(setting.there, "chatcmpl-5", tenant="other", store=True)
            listed = [tape.head.id async for tape in setting.there.stored("acme")]
            assert sorted(listed) == ["chatcmpl-1", "chatcmpl-2", "chatcmpl-3"]
            assert listed == [tape.head.id async for tape in setting.here.stored("acme")]
            for tapes in (setting.here, setting.there):
                newest = [tape.head.id async for tape in tapes.stored("acme", newest_first=True)]
                assert newest == listed[::-1]
                assert [tape.head.id async for tape in tapes.stored("acme", after=listed[0])] == listed[1:]
                back = [tape.head.id async for tape in tapes.stored("acme", after=listed[1], newest_first=True)]
                assert back == listed[:1]
                for unknown in ("chatcmpl-4", "chatcmpl-5"):
                    with pytest.raises(Failure) as raised:
                        [tape async for tape in tapes.stored("acme", after=unknown)]
                    assert (raised.value.status, raised.value.param) == (400, "after")

        self.run(scenario)

    @pytest.mark.parametrize("live", [True, False])
    @pytest.mark.parametrize("elsewhere", [False, True])
    def test_metadata_can_be_replaced(self, live: bool, elsewhere: bool) -> None:
        async def scenario(setting: Setting) -> None:
            request = msgspec.Raw(b'{"model":"tiny","metadata":{"a":"1"}}')
            tape = await own(setting.here, store=True, request=request)
            tape.append(ANSWER)
            if not live:
                tape.close(Finished(), None)
            tapes = setting.there if elsewhere else setting.here
            found = await opened(tapes)
            assert found.metadata == {"a": "1"}
            await tapes.annotate(found, {"b": "2"})
            assert (await opened(setting.here)).metadata == {"b": "2"}
            assert (await opened(setting.there)).metadata == {"b": "2"}
            if live:
                tape.close(Finished(), None)
                await Reader().on(await opened(setting.there)).done()
                assert (await opened(setting.there)).metadata == {"b": "2"}

        self.run(scenario)
