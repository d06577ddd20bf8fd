"""Token probabilities as the API has them: trimmed to its four keys, and to as many alternatives as were asked for.

The tokens of a text spell it, byte by byte; where an upstream lists more than it says, `Spelling` leaves those out.
"""

from __future__ import annotations

import msgspec

from riverrun.wire.chunk import TokenLogprob, TopLogprob

NEVER = -9999.0
"""What the API reports for a token below its top ones; JSON has no minus infinity."""


class _Top(msgspec.Struct):
    token: str
    logprob: float | None = None
    bytes: list[int] | None = None


class _Token(_Top):
    top_logprobs: list[_Top] = []


class _Logprobs(msgspec.Struct):
    content: list[_Token] | None = None
    refusal: list[_Token] | None = None


_decode = msgspec.json.Decoder(_Logprobs | None).decode


def trimmed(raw: msgspec.Raw, most: int) -> tuple[bytes | None, bytes | None]:
    """The JSON arrays for content and refusal, None where there are no tokens. Raises msgspec.DecodeError."""
    found = _decode(raw) if bytes(raw) else None
    return (None, None) if found is None else (_array(found.content, most), _array(found.refusal, most))


class Spelling:
    """The tokens of one choice's content, for an upstream that also lists tokens that are not in it.

    Such are a fence around JSON, which its grammar lets the model write and its parser leaves out, and thoughts. The
    content is one run of the tokens' bytes. A token that is only partly in it is cut, with its own probability.
    """

    def __init__(self) -> None:
        self._waiting: list[_Token] = []
        self._begun = False

    def spelled(self, raw: msgspec.Raw, most: int, content: msgspec.Raw) -> tuple[bytes | None, bytes | None]:
        """As `trimmed`, for the `content` literal that came with these tokens. Raises msgspec.DecodeError."""
        found = _decode(raw) if bytes(raw) else None
        if found is not None:
            self._waiting += found.content or ()
        text = msgspec.json.decode(content, type=str | None) if bytes(content) else None
        tokens = self._taken(text.encode()) if text else None
        return _array(tokens, most), _array(found.refusal, most) if found is not None else None

    def _taken(self, text: bytes) -> list[_Token] | None:
        """The waiting tokens that spell `text`: at first the last ones that do, later the next ones."""
        heard = b"".join(_bytes(each) for each in self._waiting)
        begin = heard.find(text) if self._begun else heard.rfind(text)
        if begin < 0:
            return None  # a text of no tokens
        self._begun = True
        end, at = begin + len(text), 0
        taken, left = [], []
        for each in self._waiting:
            size = len(_bytes(each))
            if at < end and at + size > begin:
                taken.append(_cut(each, max(begin - at, 0), end - at))
            if at + size > end:
                left.append(_cut(each, max(end - at, 0), size))
            at += size
        self._waiting = left
        return taken


def _bytes(token: _Top) -> bytes:
    return token.token.encode() if token.bytes is None else bytes(token.bytes)


def _cut(token: _Token, begin: int, end: int) -> _Token:
    whole = _bytes(token)
    piece = whole[begin:end]
    if piece == whole:
        return token
    return _Token(piece.decode(errors="replace"), token.logprob, list(piece), token.top_logprobs)


def _array(tokens: list[_Token] | None, most: int) -> bytes | None:
    if not tokens:
        return None
    return msgspec.json.encode(
        [
            TokenLogprob(
                each.token,
                _number(each),
                each.bytes,
                [TopLogprob(top.token, _number(top), top.bytes) for top in each.top_logprobs[:most]],
            )
            for each in tokens
        ]
    )


def _number(token: _Top) -> float:
    return NEVER if token.logprob is None else token.logprob
