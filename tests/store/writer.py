"""A worker process that writes a ledger: `python -m tests.store.writer FILE NAME REQUESTS`.

Writes that many requests, then one more whose attempt it never settles; says "open" on stdout and waits to be killed.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from riverrun.store.ledger import SqliteLedger
from tests.store.rows import attempted, reserved, whole


async def main(file: Path, name: str, requests: int) -> None:
    ledger = SqliteLedger(file)
    for number in range(requests):
        whole(ledger, f"{name}-{number}")
        if number % 7 == 0:
            await asyncio.sleep(0)
    ledger.reserve(reserved(f"{name}-open"))
    ledger.attempt(attempted(f"{name}-open"))
    while ledger.waiting:
        await asyncio.sleep(0.01)
    assert ledger.dropped == 0
    print("open", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
