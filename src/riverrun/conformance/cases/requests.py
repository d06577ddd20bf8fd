"""B: what is done with requests, bad ones and special ones. Judged on the exchanges of `exchanges.EXCHANGES`."""

from __future__ import annotations

from collections.abc import Iterator

from riverrun.conformance import needs
from riverrun.conformance.answer import answer
from riverrun.conformance.exchanges import BAD, BY_NAME, Refusal
from riverrun.conformance.reading import Reading, items, mapping
from riverrun.conformance.rules import Fault, Rule, rule

KEYS = ("message", "type", "param", "code")
EVIDENCE = "recordings, public issues"
BREAKS = "clients that branch on status, code or param; FastAPI's default 422 {detail} is the usual failure"


def wrong_refusal(reading: Reading, due: Refusal) -> Iterator[Fault]:
    """How an answer differs from the refusal that was due."""
    capture, error = reading.capture, mapping(reading.whole.get("error"))
    if capture.status != due.status:
        yield Fault(f"the status is {capture.status}, not {due.status}", reading.bytes)
        return
    missing = [name for name in KEYS if name not in error]
    if missing:
        yield Fault(f"the error has no {missing[0]}", reading.bytes)
    elif error["type"] != "invalid_request_error":
        yield Fault(f"type is {error['type']!r}", reading.bytes)
    elif due.codes and error["code"] not in due.codes:
        yield Fault(f"code is {error['code']!r}, not {due.codes[0]!r}", reading.bytes)
    elif due.param is not None and error["param"] != due.param:
        yield Fault(f"param is {error['param']!r}, not {due.param!r}", reading.bytes)


def refused(reading: Reading) -> Iterator[Fault]:
    """The exchange's own refusal came."""
    due = BY_NAME[reading.capture.exchange].refusal
    return wrong_refusal(reading, due) if due else iter(())


def bad_input(id: str, what: str) -> Rule:
    """The rule for one kind of bad input: the exchanges that name it come back as section 1.3 of the format says."""
    names = [exchange.name for exchange in BAD if id in exchange.rules.split(",")]
    sentence = f"{what} is refused with its HTTP status and an error with message, type, param and code."
    return rule(id, "must", sentence, needs.exchange(*names), source=EVIDENCE, breaks=BREAKS, entails="E2")(refused)


BAD_INPUT = {
    "B1": "Unparsable JSON",
    "B2": "A body that is not an object",
    "B3": "A missing model or messages",
    "B4": "A wrong type",
    "B5": "A number out of range",
    "B6": "A value that is not in its enum",
    "B7": "An empty list of messages",
    "B8": "A tool message without its call",
    "B9": "An unknown model",
}


def accepted(reading: Reading) -> Iterator[Fault]:
    """The answer is 200."""
    if reading.capture.status != 200:
        yield Fault(f"the status is {reading.capture.status}", reading.bytes)


@rule(
    "B10", "must", "stream must be a boolean; null is the default for every nullable parameter.",
    needs.exchange("stream-not-boolean", "nulls"), source="OpenAPI (the status is inferred)",
    breaks="clients that send nulls",
    entails="E2",
)  # fmt: skip
def nulls_are_defaults(reading: Reading) -> Iterator[Fault]:
    yield from accepted(reading) if reading.capture.exchange == "nulls" else refused(reading)


@rule(
    "B11", "must", "max_completion_tokens and max_tokens are both accepted; developer is treated like system.",
    needs.exchange("length", "length-new-name", "developer"), source="OpenAPI",
    breaks="LangChain, AI SDK, older agents",
    entails="E2",
)  # fmt: skip
def both_names(reading: Reading) -> Iterator[Fault]:
    yield from accepted(reading)


@rule(
    "B12", "should", "An unknown parameter is either refused with 400 or ignored.", needs.exchange("unknown-parameter"),
    source="public issues", breaks="users of extra_body", entails="E2",
)  # fmt: skip
def unknown_parameter(reading: Reading) -> Iterator[Fault]:
    if reading.capture.status not in (200, 400):
        yield Fault(f"the status is {reading.capture.status}", reading.bytes)


def limit(reading: Reading) -> int:
    """The most tokens that were asked for; 0 when there is no limit."""
    value = reading.asked.get("max_completion_tokens") or reading.asked.get("max_tokens")
    return value if isinstance(value, int) else 0


def limited(reading: Reading) -> str:
    """A limit was asked for, and the answer ended by itself."""
    if not limit(reading):
        return "no limit was asked for"
    return "" if answer(reading).choices and not needs.healthy(reading) else "no whole answer came"


@rule(
    "B13", "must", "finish_reason is length exactly when the limit is hit; completion_tokens stay within it.", limited,
    source="OpenAPI", breaks="clients that ask for more when an answer is cut",
)  # fmt: skip
def limit_is_kept(reading: Reading) -> Iterator[Fault]:
    given = answer(reading)
    used = given.usage[1] if given.usage else None
    finishes = {said.finish for said in given.choices.values()}
    if isinstance(used, int):
        if used > limit(reading) * reading.n:
            yield Fault(f"completion_tokens is {used}, and the limit was {limit(reading)}", reading.bytes[-300:])
        if finishes == {"length"} and reading.n == 1 and used < limit(reading) - 1:
            yield Fault(f"it ends in length after {used} of {limit(reading)} tokens", reading.bytes[-300:])
    if reading.capture.exchange.startswith("length") and "length" not in finishes:
        yield Fault(f"the limit was hit, and finish_reason is {', '.join(sorted(finishes))}", reading.bytes[-300:])


def stops(reading: Reading) -> list[str]:
    """The stop sequences that were asked for."""
    stop = reading.asked.get("stop")
    return [one for one in ([stop] if isinstance(stop, str) else items(stop)) if isinstance(one, str) and one]


def stop_asked(reading: Reading) -> str:
    """Stop sequences were asked for, and an answer came."""
    if not stops(reading):
        return "no stop sequence was asked for"
    return "" if answer(reading).choices else "no answer came"


@rule(
    "B14", "must", "The text of a stop sequence never appears in the content, also when it was split over deltas.",
    stop_asked, source="OpenAPI", breaks="parsers that rely on the stop",
)  # fmt: skip
def stop_is_hidden(reading: Reading) -> Iterator[Fault]:
    for index, said in answer(reading).choices.items():
        for stop in stops(reading):
            if stop in said.content:
                yield Fault(
                    f"choice {index} holds the stop sequence {stop!r}", said.content.encode("utf-8", "replace")[-200:]
                )


RULES = (
    *(bad_input(id, what) for id, what in BAD_INPUT.items()),
    nulls_are_defaults, both_names, unknown_parameter, limit_is_kept, stop_is_hidden,
)  # fmt: skip
