"""Frames of Amazon's event stream, written after its specification."""

from __future__ import annotations

from zlib import crc32


def header(name: str, value: str) -> bytes:
    """A header of type string."""
    text = value.encode()
    return bytes([len(name)]) + name.encode() + b"\7" + len(text).to_bytes(2, "big") + text


def raw_frame(headers: bytes, payload: bytes = b"") -> bytes:
    prelude = (16 + len(headers) + len(payload)).to_bytes(4, "big") + len(headers).to_bytes(4, "big")
    start = prelude + crc32(prelude).to_bytes(4, "big") + headers + payload
    return start + crc32(start).to_bytes(4, "big")


def frame(event: str, payload: bytes) -> bytes:
    """An ordinary event."""
    told = header(":event-type", event) + header(":content-type", "application/json") + header(":message-type", "event")
    return raw_frame(told, payload)


def exception(kind: str, payload: bytes) -> bytes:
    """An exception that the service knows."""
    return raw_frame(header(":exception-type", kind) + header(":message-type", "exception"), payload)


def error(code: str, message: str) -> bytes:
    """An error that it does not know."""
    return raw_frame(header(":error-code", code) + header(":error-message", message) + header(":message-type", "error"))
