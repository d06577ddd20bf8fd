"""What must be true of every world, whatever happened in it: the invariants V1 to V9 of what was played."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise

import msgspec

from riverrun.conformance.judge import failures, judge
from riverrun.stream.flow import Finished
from tests.simulation.client import Seen
from tests.simulation.kept import Kept
from tests.simulation.plan import TENANTS
from tests.simulation.replica import GONE_AFTER, RETENTION
from tests.simulation.script import FIRST_CALL, answer
from tests.simulation.world import Played

DONE = b"data: [DONE]\n\n"
LOST_ROWS = 0.06
"""Seconds that a row of the ledger may wait before it is written; a process that is killed takes those along."""

Check = Callable[[Played], Iterator[str]]


def broken(world: Played) -> list[str]:
    """What is not as it must be; empty in a good world."""
    return [*world.faults, *(f"{name} {words}" for name, check in CHECKS.items() for words in check(world))]


def on_the_tape(world: Played) -> Iterator[str]:
    """V1: every event that a socket saw is on the tape; V3: as it was sent."""
    for seen in world.seen:
        tape = world.tapes.get(seen.id)
        if tape is None or seen.id in world.deleted or _forgetful(world):
            continue
        events = tape.events
        for number, event in seen.events:
            if number > len(events):
                yield f"{seen.name} saw event {number} of {seen.id}, whose tape ends at {len(events)}"
            elif events[number - 1] != event:
                yield f"{seen.name} saw event {number} of {seen.id} as {event!r}; the tape has {events[number - 1]!r}"


def numbered(world: Played) -> Iterator[str]:
    """V2: numbers are contiguous, for readers and on tapes, and there is one ending."""
    for seen in world.seen:
        if seen.status == 200:
            yield from _contiguous(seen.name, [number for number, _ in seen.events], seen.after + 1)
    for id, tape in world.tapes.items():
        yield from _contiguous(id, [int(event[4 : event.index(b"\n")]) for event in tape.events], 1)
        whole = [event for event in tape.events if event.endswith(DONE)]
        if whole and tape.events[-1:] != whole:
            yield f"{id} goes on after [DONE]"
        if len(tape.endings) > 1:
            yield f"{id} has several endings: {tape.endings}"
        elif tape.endings and isinstance(tape.endings[0], Finished) != bool(whole):
            yield f"{id} ended as {tape.endings[0]}, after {tape.events[-1:]}"


def replayed(world: Played) -> Iterator[str]:
    """V3: all readers of an event saw the same bytes, also of tapes that are not there any more."""
    known: dict[tuple[str, int], bytes] = {}
    for seen in world.seen:
        for number, event in seen.events:
            if known.setdefault((seen.id, number), event) != event:
                yield f"event {number} of {seen.id} was {known[seen.id, number]!r}, and {event!r} for {seen.name}"


def owned(world: Played) -> Iterator[str]:
    """V4: one owner per epoch, and each one follows the one before it."""
    for id, tape in world.tapes.items():
        epochs = [epoch for epoch, _ in tape.owners]
        if epochs != list(range(1, len(epochs) + 1)):
            yield f"{id} was owned in epochs {epochs}"
        if any(one[1] == other[1] for one, other in pairwise(tape.owners)):
            yield f"{id} was taken over from itself: {tape.owners}"


def settled(world: Played) -> Iterator[str]:
    """V5: one settled row per attempt."""
    done = Counter((row.id, row.number) for row in world.settled)
    for attempt in world.attempts:
        number = done.pop((attempt.id, attempt.number), 0)
        orphaned = _forgetful(world) or (world.killed and attempt.id in world.deleted)  # nobody is left to settle it
        if number != 1 and not (number == 0 and orphaned):
            yield f"attempt {attempt.number} of {attempt.id} was settled {number} times"
    if done:
        yield f"settled, but never begun: {sorted(done)}"


def counted(world: Played) -> Iterator[str]:
    """V5: a row says what the upstream said, where it said something."""
    calls = {FIRST_CALL + call.number: call for call in world.calls}
    provided = [row for row in world.settled if row.source == "provider"]
    told = Counter(row.prompt_tokens for row in provided)
    for row in provided:
        call = calls.get(row.prompt_tokens)
        if call is None or not call.told or call.tokens != row.completion_tokens:
            yield f"{row} says what no upstream said"
        elif told[row.prompt_tokens] > 1:
            yield f"the upstream's call {call.number} was counted {told[row.prompt_tokens]} times"
        elif row.id in world.tapes and world.tapes[row.id].asked != call.asked:
            yield f"{row} is of a call for {call.asked!r}"
    for row in world.settled:
        if row.ending == "finished" and row.source != "provider" and all(side.counts for side in world.plan.sides):
            yield f"{row} finished, and its upstream told the usage"


def finished(world: Played) -> Iterator[str]:
    """V6: whoever saw a clean end has the whole answer; a broken stream never looks finished."""
    for id, tape in world.tapes.items():
        if any(isinstance(ending, Finished) for ending in tape.endings) and _said(tape) != (answer(tape.asked), "stop"):
            yield f"{id} finished, and says {_said(tape)!r} to {tape.asked!r}"
    for seen in world.seen:
        done = any(event.endswith(DONE) for _, event in seen.events)
        if seen.streamed and seen.ended == "clean" and not done:
            yield f"{seen.name} ended cleanly without [DONE], after {seen.events[-1:]}"
        if done and seen.after == 0 and _text(event for _, event in seen.events) != (answer(seen.asked), "stop"):
            yield f"{seen.name} has [DONE], and not the whole answer to {seen.asked!r}"
        if seen.ended == "clean" and seen.status == 200 and not seen.streamed:
            yield from _whole(seen)


def generated_once(world: Played) -> Iterator[str]:
    """V7: one key, one generation; and every upstream call is in the ledger as an attempt."""
    by_key: dict[str, list[Kept]] = {}
    for id, tape in world.tapes.items():
        if tape.head.key and _said(tape)[0] and id not in world.deleted and not _forgetful(world):
            by_key.setdefault(tape.head.key, []).append(tape)
    for key, tapes in by_key.items():
        for one, other in pairwise(sorted(tapes, key=lambda tape: tape.head.created)):
            if other.head.created - one.head.created < RETENTION.keyed:
                yield f"the key {key[:8]} named two answers: {one.head.id} and {other.head.id}"
    lost = sum(any(0 <= at - call.at <= LOST_ROWS for at in world.killed) for call in world.calls)
    if len(world.calls) > len(world.attempts) + lost:
        yield f"{len(world.calls)} upstream calls, and {len(world.attempts)} attempts"


def private(world: Played) -> Iterator[str]:
    """V8: no tenant sees a byte of another's."""
    owners = {id: tape.head.tenant for id, tape in world.tapes.items()}
    for seen in world.seen:
        for tenant in TENANTS:
            if tenant != seen.tenant and f"-{tenant}-".encode() in seen.body:
                yield f"{seen.name} of {seen.tenant} saw what {tenant} was told"
        foreign = "/chatcmpl-" in seen.line and _tenant(seen.asked) != seen.tenant
        if foreign and seen.ended == "clean" and seen.status != 404:
            yield f"{seen.name} of {seen.tenant} was answered {seen.status} for a foreign id"
        if seen.line.startswith("GET") and seen.status == 200 and not seen.streamed:
            for id, owner in owners.items():
                if owner != seen.tenant and id.encode() in seen.body:
                    yield f"{seen.name} of {seen.tenant} was told of {id}"


def still_there(world: Played) -> Iterator[str]:
    """Nothing is lost: an answer that is kept is found, and goes as its ending says."""
    for seen in world.seen:
        tape = _named(world, seen)
        if tape is None or seen.ended != "clean" or tape.head.id in world.deleted or _forgetful(world):
            continue
        if seen.status in (404, 410) and seen.at < GONE_AFTER:
            yield f"{seen.name} found no {tape.head.id}: {seen.body!r}"
        whole = any(isinstance(ending, Finished) for ending in tape.endings)
        if whole and seen.status >= 500 and not world.plan.faults:
            yield f"{seen.name} was answered {seen.status}, and {tape.head.id} finished"


def ended(world: Played) -> Iterator[str]:
    """Every tape has its ending when nothing runs any more."""
    for id, tape in world.tapes.items():
        if not tape.endings and id not in world.deleted and not _forgetful(world):
            yield f"{id} has no ending"


def no_fault_of_ours(world: Played) -> Iterator[str]:
    for seen in world.seen:
        if b'"internal_error"' in seen.body:
            yield f"{seen.name}: {seen.body!r}"


def conforming(world: Played) -> Iterator[str]:
    """Our own checker judges complete streams, one for each tape."""
    judged = set()
    for seen in world.seen:
        if seen.streamed and seen.ended == "clean" and seen.after == 0 and seen.request and seen.id not in judged:
            judged.add(seen.id)
            for finding in failures(judge(seen.capture)):
                yield f"{seen.name} breaks {finding.rule.id}: {finding.note}"


CHECKS: dict[str, Check] = {
    "V1": on_the_tape,
    "V2": numbered,
    "V3": replayed,
    "V4": owned,
    "V5": settled,
    "V5 counted:": counted,
    "V6": finished,
    "V7": generated_once,
    "V8": private,
    "lost:": still_there,
    "endless:": ended,
    "our fault:": no_fault_of_ours,
    "conformance:": conforming,
}
"""V9 is found while a world is played: see `Replica.stop`."""


def _contiguous(whose: str, numbers: list[int], first: int) -> Iterator[str]:
    if numbers and numbers != list(range(first, first + len(numbers))):
        yield f"{whose} has numbers {numbers}, from {first} on"


def _text(events: Iterator[bytes]) -> tuple[str, str]:
    """What the events say, and the finish_reason."""
    said, finish = "", ""
    for event in events:
        data = event.partition(b"\ndata: ")[2].strip()
        chunk = json.loads(data) if data != b"[DONE]" else {}
        for choice in chunk.get("choices", ()):
            said += choice["delta"].get("content") or ""
            finish += choice["finish_reason"] or ""
    return said, finish


def _said(tape: Kept) -> tuple[str, str]:
    return _text(iter(tape.events))


def _whole(seen: Seen) -> Iterator[str]:
    """A clean JSON answer that is a completion is the whole one."""
    body = msgspec.json.decode(seen.body)
    if body.get("object") == "chat.completion":
        choice = body["choices"][0]
        if (choice["message"]["content"], choice["finish_reason"]) != (answer(seen.asked), "stop"):
            yield f"{seen.name} has a whole answer that is not: {choice}"


def _named(world: Played, seen: Seen) -> Kept | None:
    """The tape that a request of its own tenant names by its id."""
    _, found, rest = seen.line.partition("/chatcmpl-")
    tape = world.tapes.get(f"chatcmpl-{rest[:32]}") if found else None
    return tape if tape is not None and tape.head.tenant == seen.tenant else None


def _tenant(asked: str) -> str:
    return asked.split(" ")[3].rstrip(",")


def _forgetful(world: Played) -> bool:
    """Whether tapes were lost with the process that had them in memory."""
    return world.plan.tapes == "memory" and any(fault.what != "full" for fault in world.plan.faults)
