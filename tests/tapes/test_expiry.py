"""Things that are due later."""

from __future__ import annotations

import asyncio

from riverrun.tapes.expiry import Expiry
from tests import virtual


def test_a_call_that_fails_keeps_nothing_else_from_its_time() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        failures: list[object] = []
        loop.set_exception_handler(lambda _, context: failures.append(context["exception"]))
        called: list[str] = []

        def call(thing: str) -> None:
            if thing == "bad":
                raise ZeroDivisionError
            called.append(thing)

        expiry = Expiry(call)
        for thing, seconds in (("bad", 1.0), ("same moment", 1.0), ("later", 5.0)):
            expiry.after(seconds, thing)
        await asyncio.sleep(2.0)
        assert called == ["same moment"]
        await asyncio.sleep(5.0)
        assert called == ["same moment", "later"]
        assert [type(each) for each in failures] == [ZeroDivisionError]

    virtual.run(main())


def test_the_latest_time_holds_and_what_is_hastened_comes_in_its_order() -> None:
    async def main() -> None:
        called: list[str] = []
        expiry = Expiry(called.append)
        for thing, seconds in (("a", 1.0), ("b", 2.0), ("c", 3.0), ("d", 4.0), ("a", 5.0), ("e", 6.0)):
            expiry.after(seconds, thing)
        expiry.forget("b")
        expiry.hasten()
        assert called == ["c"]
        await asyncio.sleep(5.5)
        assert called == ["c", "d", "a"]
        expiry.stop()
        expiry.hasten()
        await asyncio.sleep(1.0)
        assert called == ["c", "d", "a"]

    virtual.run(main())
