"""The rows X16: a client that disconnects after each word, under each policy, and what the ledger says of it.

The upstream knows how many words it has really sent. In some rows its words are of one token each, which is counted;
in others it sends pieces of several tokens, and riverrun can only guess at them.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from riverrun.store.sums import Sum, usage
from tests.faults import memory_net
from tests.faults.compared import outcome
from tests.faults.house import PROMPT_TOKENS, Counts, Speaker, house
from tests.faults.lines import EVENTS, POST, Got, ask, chat, resumed
from tests.faults.rows import Outcome, Row, spread

Policy = Literal["cancel", "grace", "grace, and comes back", "finish"]

POLICIES: tuple[Policy, ...] = ("cancel", "grace", "grace, and comes back", "finish")
COUNTS: tuple[Counts, ...] = ("at its end", "with each event", "never")
WORDS = 24
PACE = 1.0
GRACE = 15.5
"""So that it ends between two words."""
OVER = WORDS * PACE + GRACE
"""Seconds after which every answer is over, whatever the policy."""
NEAR = 0.05
PIECE = " and now so many"
"""Sixteen letters."""


class Kind(NamedTuple):
    """What the upstream sends: a word, and how many tokens it is."""

    words: tuple[str, ...]
    tokens: int
    source: str
    """What the ledger says of it where the upstream reports nothing."""


KINDS = {
    "one token an event": Kind(tuple(f"w{number} " for number in range(WORDS)), 1, "counted"),
    "four tokens of four letters an event": Kind((PIECE,) * WORDS, 4, "estimated"),
}


def rows() -> Iterator[Row]:
    for counts in COUNTS:
        for kind in KINDS if counts == "never" else ["one token an event"]:
            tries = len(POLICIES) * (WORDS + 1)
            what = f"after each word, each policy; the upstream tells its usage {counts}, and sends {kind}"
            yield Row("X16", what, tries, partial(_played, counts, kind), in_suite=12)


def _played(counts: Counts, kind: str, n: int) -> Iterator[Outcome]:
    worst = 0.0
    every = [(policy, words) for policy in POLICIES for words in range(WORDS + 1)]
    for policy, words in spread(every, n):
        with tempfile.TemporaryDirectory() as folder:
            seen, off = memory_net.run(one(counts, KINDS[kind], policy, words, Path(folder)))
        worst = max(worst, off)
        yield seen._replace(note=f"at most {worst:.1%} beside what was sent")


async def one(counts: Counts, kind: Kind, policy: Policy, words: int, folder: Path) -> tuple[Outcome, float]:
    """The client goes once it has so many words: before the first, 0. And how far the ledger is off, as a share."""
    speaker = Speaker(kind.words, pace=PACE, counts=counts, tokens=kind.tokens)
    file = folder / "ledger.sqlite"
    more = f'[server]\ngrace = {GRACE}\ncommit_after = 0.1\n[store]\nurl = "sqlite:{file}"\n'
    async with house(speaker, more) as port:
        parts = [await _leaves(port, policy, words)]
        if policy == "grace, and comes back":
            await asyncio.sleep(GRACE / 2)
            parts.append(await resumed(port, parts[0]))
        await asyncio.sleep(OVER)
        tape = await ask(port, f"GET {parts[0].place}", headers=EVENTS)
        (sum_,) = usage(file, ["tenant"]).sums
        calls = speaker.calls
        sent = sum(call.tokens for call in calls) * kind.tokens
        broken = "" if len(calls) == 1 else f"{len(calls)} upstream calls"
        whole = calls[0].end.is_set()
        off = abs(sum_.completion_tokens - sent) / max(1, sent)
        broken = broken or charged(sum_, sent, _source(counts, kind, whole=whole, sent=sent))
        broken = broken or went_on(policy, words, calls[0].tokens)
    if policy == "grace, and comes back":
        seen = outcome(parts, tape, {0: speaker.text}, broken)
    else:
        seen = _left(parts[0], tape, broken, whole=whole)
    return seen, off


async def _leaves(port: int, policy: Policy, words: int) -> Got:
    """Once it has so many words. The first one comes with the first event."""
    header = {"x-riverrun-on-disconnect": policy.partition(",")[0]}
    mark = b'"content":"'

    def leaves(raw: bytes) -> int | None:
        has = raw.count(mark) - raw.count(mark + b'"')  # the opener has an empty one
        return len(raw) if b"\r\n\r\n" in raw and has >= words else None

    return await ask(port, POST, chat(stream=True), header, place=leaves)


def _source(counts: Counts, kind: Kind, *, whole: bool, sent: int) -> str:
    if counts == "with each event" and sent:
        return "provider"
    return "provider" if counts == "at its end" and whole else kind.source


def charged(sum_: Sum, sent: int, source: str) -> str:
    """What is wrong with the ledger, where so many tokens were sent."""
    exact = source == "provider"
    if sum_.attempts != 1:
        return f"{sum_.attempts} rows for one call"
    if exact and (sum_.prompt_tokens, sum_.completion_tokens) != (PROMPT_TOKENS, sent):
        return f"{sum_.completion_tokens} tokens, where the upstream reports {sent}"
    if abs(sum_.completion_tokens - sent) > NEAR * sent:
        return f"{sum_.completion_tokens} tokens, where {sent} were sent"
    total = sum_.prompt_tokens + sum_.completion_tokens
    marked: int = getattr(sum_, source)
    return "" if marked == total else f"of {total} tokens {marked} are marked as {source}"


def went_on(policy: Policy, words: int, sent: int) -> str:
    """Whether the upstream was let go when the policy says so: at once, in its time, or never."""
    should = {"cancel": words, "grace": min(WORDS, words + int(GRACE / PACE))}.get(policy, WORDS)
    return "" if sent == should else f"{sent} words were sent for a client that left after {words}"


def _left(first: Got, tape: Got, broken: str, *, whole: bool) -> Outcome:
    """A client that went for good: what it has is the beginning of what is kept, which looks whole only if it is."""
    has, kept = b"".join(first.events), b"".join(tape.events)
    wrong = 0 if kept.startswith(has) else len(has)
    return Outcome(not wrong and tape.done == whole, False, wrong, tape.done and not whole, broken=broken)
