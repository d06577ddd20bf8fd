"""Token probabilities as the API has them: trimmed to its four keys, and to as many alternatives as were asked for."""

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
