"""What a client has of an answer, beside what is kept of it and what its upstream said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from tests.faults.house import Speaker, said
from tests.faults.lines import Got
from tests.faults.rows import Outcome

Texts = Mapping[int, str]
"""The words of each choice."""


def outcome(parts: Sequence[Got], tape: Got, truth: Texts, broken: str = "") -> Outcome:
    """One client's answer, in the parts in which it came; `tape` is the whole as it is replayed afterwards."""
    has = b"".join(event for part in parts for event in part.events)
    true = b"".join(tape.events)
    last, finished = parts[-1], any(part.done for part in parts)
    ended = last.clean or last.status == 204 or (last.left and last.done)
    kept = said(tape.events)
    right = tape.done and kept.texts == truth and set(kept.finishes) == set(truth)
    whole = has == true and finished and ended and right
    wrong = differing(has, true, finished=finished)
    looks_finished = finished or (last.status == 200 and last.clean)
    broken = broken or ("" if right else "what is kept is not what the upstream said")
    return Outcome(whole, told(parts), wrong, looks_finished and not whole, gap(parts), broken)


def differing(has: bytes, true: bytes, *, finished: bool) -> int:
    """Bytes of it that are not the true ones; those that are missing count where it looks finished."""
    if has == true:
        return 0
    pairs = enumerate(zip(has, true, strict=False))
    same = next((at for at, (one, other) in pairs if one != other), min(len(has), len(true)))
    return max(len(has) - same, len(true) - same if finished else 0)


def told(parts: Sequence[Got]) -> bool:
    """Whether the last thing that the client heard was an error."""
    last = parts[-1]
    return last.status >= 400 or bool(last.events and b'data: {"error"' in last.events[-1])


def gap(parts: Sequence[Got]) -> float:
    """The longest time between two events, in seconds."""
    times = [time for part in parts for time in part.times]
    return max((b - a for a, b in pairwise(times)), default=0.0)


def completion(got: Got, truth: Texts, broken: str = "") -> Outcome:
    """The same for an answer that comes as a whole."""
    choices = got.json.get("choices", []) if got.status == 200 and got.clean else []
    assert isinstance(choices, list)
    has = {choice["index"]: choice["message"]["content"] for choice in choices}
    whole = has == truth and all(choice["finish_reason"] for choice in choices)
    wrong = sum(differing(has.get(at, "").encode(), text.encode(), finished=bool(has)) for at, text in truth.items())
    return Outcome(whole, got.status >= 400, wrong, bool(has) and not whole, broken=broken)


def asked_once(speaker: Speaker, prompt: str) -> str:
    """What is broken where the upstream was not asked this once."""
    calls = speaker.asked_for(prompt)
    return "" if calls == 1 else f"{calls} upstream calls for {prompt!r}"
