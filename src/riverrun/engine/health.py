"""Asks a running engine whether it is well: a process that lives may still have stopped to answer."""

from __future__ import annotations

import asyncio

from riverrun.backends.address import Address, parse

REQUEST = b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"


async def answers(base_url: str, seconds: float) -> bool:
    """The engine at `base_url` answers GET /health with 200 within so many seconds. It needs no key for that."""
    address, _ = parse(base_url)
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await _connect(address)
            try:
                writer.write(REQUEST)
                return (await reader.readline()).split(b" ")[1:2] == [b"200"]
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


async def _connect(address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if address.socket:
        return await asyncio.open_unix_connection(address.socket)
    return await asyncio.open_connection(address.host, address.port)
