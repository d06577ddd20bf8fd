"""The kinds of values that a setting can have beside TOML's own: secrets and durations."""

from __future__ import annotations

import hashlib
import math
import re

SHORTEST_CLIENT_KEY = 16
HASHED = "sha256:"
DIGEST = re.compile(r"[0-9a-fA-F]{64}")

CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")


class Secret:
    """A text that is never shown: `str`, `repr` and every message have "…" in its place. `reveal` gives the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        if not text:
            raise ValueError("Expected a key, got an empty text")
        if CONTROLS.search(text):
            raise ValueError("Expected a text without control characters and line ends: no header can hold them")
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "…"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


def digest(key: str) -> bytes:
    """What is kept of a key by which clients come in. Bytes that are no text come through `surrogateescape`."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


class ClientKey(Secret):
    """A key by which clients come in, long enough that nobody guesses it (SEC5); or `sha256:` and its digest in hex,
    so that the file holds no secret. `digest` is the same for both."""

    __slots__ = ("digest",)

    def __init__(self, text: str) -> None:
        if len(text) < SHORTEST_CLIENT_KEY:
            raise ValueError(f"Expected a key of at least {SHORTEST_CLIENT_KEY} characters")
        if not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError("Expected a key of visible ASCII characters: others can't be sent in a header")
        hashed = text.startswith(HASHED)
        if hashed and not DIGEST.fullmatch(text.removeprefix(HASHED)):
            raise ValueError(f"Expected {HASHED} and 64 hexadecimal digits; `riverrun key` makes such a line")
        self.digest = bytes.fromhex(text.removeprefix(HASHED)) if hashed else digest(text)
        super().__init__(text)


class Duration(float):
    """Seconds. Written as "500ms", "5s", "10m", "1h" or as a number of seconds; "off" is endless."""

    @classmethod
    def of(cls, written: object) -> Duration:
        """Raises ValueError for what is no duration, and for none at all."""
        if written == "off":
            return cls(math.inf)
        seconds = _seconds(written)
        if seconds is None or not 0 < seconds < math.inf:
            raise ValueError('Expected a duration such as "500ms", "5s", "10m" or "off"')
        return cls(seconds)

    @property
    def limit(self) -> float | None:
        """Seconds; None: no limit."""
        return None if math.isinf(self) else float(self)


LONGEST = 1e9
"""Seconds, about 30 years: more is a slip, and a still larger integer has no float."""


def _seconds(written: object) -> float | None:
    if isinstance(written, bool):
        return None
    if isinstance(written, int | float):
        return float(written) if abs(written) < LONGEST else None
    match = DURATION.fullmatch(written) if isinstance(written, str) else None
    return float(match[1]) * UNITS[match[2]] if match else None


def encode(value: object) -> str | float:
    """For msgspec's encoders, the other way: a secret as it is, so that what is encoded goes to our own processes only.

    Raises NotImplementedError for any other kind of value.
    """
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Duration):
        return "off" if value.limit is None else value.limit
    raise NotImplementedError(f"{type(value).__name__} is no kind of value that a setting has")


def decode(kind: type, written: object) -> object:
    """For msgspec.convert. Raises ValueError, which it turns into a message with the place."""
    if kind is Duration:
        return Duration.of(written)
    if not isinstance(written, str):
        raise ValueError("Expected a text")
    return kind(written)
