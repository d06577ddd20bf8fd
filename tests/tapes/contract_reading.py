"""How every kind of tapes is written, followed and ended."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from riverrun.failures import Cause, Failure
from riverrun.stream.flow import Cancelled, Finished, Refused
from riverrun.tapes.contract import Committed
from riverrun.wire.chunk import CompletionUsage
from tests.tapes.reader import ANSWER, PATIENCE, Ears, Reader
from tests.tapes.setting import Setting, TapesScenarios, expected, opened, own, written


class ReadingContract(TapesScenarios):
    """A tape, its owner and its readers, here and elsewhere."""

    @pytest.mark.parametrize("after", range(5))
    def test_replay_is_what_was_sent_from_every_cursor(self, after: int) -> None:
        async def scenario(setting: Setting) -> None:
            tape = await own(setting.here)
            live = Reader().on(tape)
            tape.append(ANSWER[:1])
            tape.append(ANSWER[1:3])
            tape.append(ANSWER[3:])
            tape.close(Finished(), None)
            await live.done()
            assert live.bytes == expected(ANSWER)
            assert live.lasts[-1] == tape.written == tape.last == 4
            assert tape.payloads() == ANSWER
            for tapes in (setting.here, setting.there):
                late = Reader().on(await opened(tapes), after)
                await late.done()
                assert late.bytes == expected(ANSWER, after)
                assert late.endings == [Finished()]

        self.run(scenario)

    def test_followers_elsewhere_get_it_live(self) -> None:
        async def scenario(setting: Setting) -> None:
            tape = await own(setting.here)
            tape.append(ANSWER[:1])
            await written(tape)
            there = await opened(setting.there)
            assert there.last == 1
            assert there.ending is None
            readers = [Reader().on(there, after) for after in (0, 1, 0)]
            for number, payload in enumerate(ANSWER[1:], 2):
                tape.append([payload])
                for reader in readers:
                    await reader.until(number)
            tape.close(Cancelled(), None)
            for reader, after in zip(readers, (0, 1, 0), strict=True):
                await reader.done()
                assert reader.bytes == expected(ANSWER, after)
                assert reader.endings == [Cancelled()]

        self.run(scenario)

    @pytest.mark.parametrize("elsewhere", [False, True])
    def test_a_slow_reader_stalls_nobody(self, elsewhere: bool) -> None:
        async def scenario(setting: Setting) -> None:
            tape = await own(setting.here)
            read = await opened(setting.there) if elsewhere else tape
            slow, quick = Reader(1).on(read), Reader().on(read)
            for number, payload in enumerate(ANSWER, 1):
                tape.append([payload])
                await quick.until(number)
            tape.close(Finished(), None)
            await quick.done()
            assert slow.bytes == expected(ANSWER[:1])
            assert not slow.over
            slow.room = 9
            slow.following.more()
            await slow.done()
            assert slow.bytes == quick.bytes == expected(ANSWER)

        self.run(scenario)

    @pytest.mark.parametrize("elsewhere", [False, True])
    def test_the_owner_hears_of_its_readers(self, elsewhere: bool) -> None:
        async def scenario(setting: Setting) -> None:
            ears = Ears()
            await own(setting.here, listener=ears)
            tape = await opened(setting.there if elsewhere else setting.here)
            one, two = Reader().on(tape), Reader().on(tape)
            await ears.until("joined")
            one.following.leave()
            one.following.leave()
            assert ears.heard == ["joined"]
            two.following.leave()
            await ears.until("left")
            assert ears.heard == ["joined", "left"]
            ears.heard.clear()
            Reader().on(tape)
            await ears.until("joined")

        self.run(scenario)

    def test_leaving_an_ended_tape_tells_nobody(self) -> None:
        async def scenario(setting: Setting) -> None:
            ears = Ears()
            tape = await own(setting.here, listener=ears)
            reader = Reader().on(tape)
            tape.close(Cancelled(), None)
            await reader.done()
            reader.following.leave()
            assert ears.heard == ["joined"]

        self.run(scenario)

    @pytest.mark.parametrize("elsewhere", [False, True])
    def test_the_whole_answer(self, elsewhere: bool) -> None:
        async def scenario(setting: Setting) -> None:
            tape = await own(setting.here)
            read = await opened(setting.there) if elsewhere else tape
            usage = CompletionUsage(1, 2, 3)
            content = asyncio.ensure_future(read.committed())
            whole = asyncio.ensure_future(read.ended())
            tape.append(ANSWER[:2])
            tape.commit(Committed("tiny", ("user",)))
            async with asyncio.timeout(PATIENCE):
                assert await content == Committed("tiny", ("user",))
            assert not whole.done()
            tape.append(ANSWER[2:])
            tape.close(Finished(), usage)
            async with asyncio.timeout(PATIENCE):
                for answer in (await whole, await (await opened(setting.there)).ended()):
                    assert answer.choices[0].message.content == "Hi"
                    assert answer.usage == usage
                    assert answer.id == "chatcmpl-1"

        self.run(scenario)

    @pytest.mark.parametrize("committed", [True, False])
    def test_a_failure_reaches_whoever_waits_whole(self, committed: bool) -> None:
        async def scenario(setting: Setting) -> None:
            failure = Failure(Cause.UPSTREAM_TIMEOUT, "silent", code="very", retry_after=3.0)
            tape = await own(setting.here)
            waiting = [asyncio.ensure_future(each.ended()) for each in (tape, await opened(setting.there))]
            if committed:
                tape.commit(Committed("tiny"))
            tape.close(Refused(failure), None)
            reader = Reader().on(await opened(setting.there))
            await reader.done()
            for future in waiting:
                with pytest.raises(Failure, match="silent") as raised:
                    await asyncio.wait_for(future, PATIENCE)
                assert raised.value.cause is Cause.UPSTREAM_TIMEOUT
                assert (raised.value.code, raised.value.retry_after) == ("very", 3.0)
            for tapes in (setting.here, setting.there):
                late = await opened(tapes)
                if committed:
                    assert await late.committed() == Committed("tiny")
                else:
                    with pytest.raises(Failure, match="silent"):
                        await late.committed()

        self.run(scenario)

    def test_a_cancelled_tape_says_so(self) -> None:
        async def scenario(setting: Setting) -> None:
            tape = await own(setting.here)
            tape.close(Cancelled(), None)
            with pytest.raises(Failure, match="cancelled"):
                await asyncio.wait_for(tape.ended(), PATIENCE)

        self.run(scenario)

    @pytest.mark.parametrize("elsewhere", [False, True])
    def test_a_cancel_reaches_the_owner(self, elsewhere: bool) -> None:
        async def scenario(setting: Setting) -> None:
            ears = Ears()
            tape = await own(setting.here, listener=ears)
            tapes = setting.there if elsewhere else setting.here
            await tapes.cancel(await opened(tapes))
            await ears.until("cancel")
            tape.close(Cancelled(), None)
            await Reader().on(await opened(tapes)).done()
            await tapes.cancel(await opened(tapes))  # too late: nothing happens
            assert ears.heard.count("cancel") == 1

        self.run(scenario)

    def test_a_stream_that_outgrows_its_bound_may_still_say_so(self) -> None:
        async def scenario(setting: Setting) -> None:
            tape = await own(setting.here)
            tape.append([b"x" * 100])
            with pytest.raises(Failure) as raised:
                tape.append([b"y"])
            assert raised.value.code == "stream_too_large"
            assert tape.written == 1
            tape.append([b'{"error":{}}'])
            tape.close(Refused(raised.value), None)
            reader = Reader().on(await opened(setting.there))
            await reader.done()
            assert reader.bytes == expected([b"x" * 100, b'{"error":{}}'])

        self.run(scenario, largest=50)

    def test_what_could_not_be_written_was_not_sent(self) -> None:
        async def scenario(setting: Setting) -> None:
            if setting.break_writes is None:
                pytest.skip("nothing can fail here")
            ears = Ears()
            tape = await own(setting.here, listener=ears)
            tape.append(ANSWER[:1])
            readers = [Reader().on(tape), Reader().on(await opened(setting.there))]
            for reader in readers:
                await reader.until(1)
            setting.break_writes()
            with suppress(Failure):  # told at once, or by the signal
                tape.append(ANSWER[1:2])
            await ears.until("broken")
            assert tape.broken is not None
            assert tape.broken.cause is Cause.STORAGE
            assert ears.heard.count("broken") == 1
            with pytest.raises(Failure):
                tape.append(ANSWER[2:])
            tape.close(Cancelled(), None)
            for reader in readers:
                await reader.done()
                assert reader.bytes == expected(ANSWER[:1])
                assert reader.endings == [] or isinstance(reader.endings[0], Refused)

        self.run(scenario)
