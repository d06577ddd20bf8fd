"""One exchange as it was on the wire: what was sent, what came back, when, and how it ended.

A capture holds raw bytes and nothing that was derived from them. It never holds the key that was sent.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

Ended = Literal["complete", "cut", "left", "timeout", "unknown"]
"""complete: HTTP's own framing ended (last chunk, content-length, or a close where that is the framing);
cut: the connection ended before it; left: we hung up; timeout: we stopped waiting; unknown: read from a file."""


class Capture(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`request` is the body as sent (None: not known). Times are seconds since the request was sent.

    `exchange` names the row of `exchanges.EXCHANGES` that was played; it is empty for a stranger's capture.
    A `status` of 0 means that no answer came at all.
    """

    request: bytes | None = None
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    blocks: tuple[tuple[float, bytes], ...] = ()
    ended: Ended = "unknown"
    ended_at: float | None = None
    exchange: str = ""

    @property
    def body(self) -> bytes:
        """All bytes of the answer's body."""
        return b"".join(block for _, block in self.blocks)

    def header(self, name: str) -> str:
        """The value of a header, whatever its case; empty when it is absent."""
        return next((value for key, value in self.headers if key.lower() == name), "")


class NotACapture(Exception):
    """A file that is neither a capture nor a stream."""


def save(capture: Capture, path: Path) -> None:
    """Write a capture as JSON, bytes in base64: what `load` reads."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(capture), indent=1))


def load(path: Path) -> Capture:
    """A saved capture, or a file with nothing but a stream's bytes. Raises NotACapture and OSError."""
    content = path.read_bytes()
    if not content.lstrip().startswith(b"{"):
        return Capture(blocks=((0.0, content),))
    try:
        return msgspec.json.decode(content, type=Capture)
    except msgspec.DecodeError as error:
        raise NotACapture(
            f"{path}: starts like JSON but is not a capture ({error}); give a file written by --save, or a bare stream"
        ) from error
