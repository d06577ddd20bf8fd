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
        expiry = Expiry()
        expiry.after(1.0, "bad", lambda: 1 // 0)
        expiry.after(1.0, "same moment", lambda: called.append("same moment"))
        expiry.after(5.0, "later", lambda: called.append("later"))
        await asyncio.sleep(2.0)
        assert called == ["same moment"]
        await asyncio.sleep(5.0)
        assert called == ["same moment", "later"]
        assert [type(each) for each in failures] == [ZeroDivisionError]

    virtual.run(main())
