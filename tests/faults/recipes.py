"""How an upstream misbehaves, and what must come of it. Data.

Each recipe is the first target's; it stands alone, before a fallback that is well, and before one that dies too. What
must come is a code (none: the whole answer), the true status, whether it is told inside a stream, and how often each
target may be asked: not once more than that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Literal, NamedTuple

from tests.faults import speech
from tests.faults.scene import Answer, Moment
from tests.faults.speech import DONE, FINISH, OPENER, USAGE, error, payload, played, streamed, words
from tests.upstreams import How, Play, Step, chunk, head, sse, whole


class Must(NamedTuple):
    """`code`: the client's error, "" for a whole answer. `status` is what a JSON caller gets."""

    asks: tuple[int, int]
    code: str = ""
    status: int = 200
    streamed: bool = False


class Recipe(NamedTuple):
    """`alone`, `healthy`, `dying`: what must come in the three arrangements, of `requests` in all, one `every` seconds.

    `facts` are of the first target, `other` of the fallback.
    """

    name: str
    answers: tuple[Answer, ...]
    alone: Must
    healthy: Must
    dying: Must
    facts: Mapping[str, object] = MappingProxyType({})
    other: Mapping[str, object] = MappingProxyType({})
    requests: int = 1
    every: float = 0.0


Arrangement = Literal["alone", "healthy", "dying"]
ARRANGEMENTS: tuple[Arrangement, ...] = ("alone", "healthy", "dying")


# Answers


def well(moment: Moment) -> Play:
    """The rest of the answer."""
    return played(speech.answer(moment.so_far))


def dying(moment: Moment) -> Play:
    """Two more words, and a reset."""
    return played([OPENER, *words(speech.ANSWER.removeprefix(moment.so_far))[:2]], whole=False, end="reset")


def always(play: Play) -> Answer:
    return lambda moment: play


def refused(status: str, body: bytes = error("server_error"), wait: float | None = None) -> Answer:
    """An HTTP error; `wait` is its Retry-After in seconds, which is scaled."""

    def given(moment: Moment) -> Play:
        return Play((whole(body, status, more="" if wait is None else _retry_after(wait, moment.scale)),))

    return given


def _retry_after(seconds: float, scale: float) -> str:
    return f"retry-after: {seconds:g}" if scale == 1.0 else f"retry-after-ms: {seconds * scale * 1000:.0f}"


def said(*payloads: bytes, whole: bool = True, end: How = "keep") -> Answer:
    return always(played(list(payloads), whole=whole, end=end))


def raw(*steps: bytes | float, whole: bool = True, end: How = "keep") -> Answer:
    return always(streamed(*steps, whole=whole, end=end))


def bare(*steps: Step, end: How) -> Answer:
    return always(Play(steps, end))


def among(extra: bytes, at: int) -> Answer:
    """The answer with this event (its bytes) before the event with this number."""
    events = [sse(each) for each in speech.answer()]
    return raw(*events[:at], extra, *events[at:])


def with_no_prefill(otherwise: Answer) -> Answer:
    """Refuses to go on with an assistant's words, as newer Claude models do."""
    refusal = refused(
        "400 Bad Request", error("", "This model does not support assistant prefill.", "invalid_request_error")
    )
    return lambda moment: refusal(moment) if moment.so_far else otherwise(moment)


def _ended(event: bytes, at: int) -> bytes:
    """With one of the three line ends of SSE."""
    return event.replace(b"\n", (b"\r\n", b"\r", b"\n")[at % 3])


TWO = words()[:2]
DOUBLED = (FINISH, FINISH, USAGE, USAGE, DONE, DONE)
EVENTS = [sse(each) for each in speech.answer()]
OVERLOAD = error("server_error")
LIMITED = error("rate_limit_exceeded", "Slow down.", "rate_limit_error")
GIANT = b"data: " + b"x" * (4 * 1024 * 1024 + 1) + b"\n\n"


# What must come

WHOLE = Must((1, 0))
WHOLE_AGAIN = Must((2, 0))


class Musts(NamedTuple):
    alone: Must
    healthy: Must
    dying: Must


def unseen(asks: int = 1) -> Musts:
    """The client never learns of it: `asks` of the first target alone."""
    return Musts(Must((asks, 0)), Must((asks, 0)), Must((asks, 0)))


def early(code: str, status: int, asks: int = 2, held: bool = False) -> Musts:
    """Before content: asked again, then the next one. With a fallback that dies it is known after content."""
    return Musts(Must((asks, 0), code, status, held), Must((asks, 1)), Must((asks, 2), code, status, streamed=True))


def busy(code: str = "rate_limit_exceeded", status: int = 429) -> Musts:
    """Somebody else is asked at once; the target itself again only where nobody else is there."""
    return Musts(Must((2, 0), code, status), Must((1, 1)), Must((1, 2), code, status, streamed=True))


def late(code: str, status: int = 502) -> Musts:
    """After content: only who can go on is asked."""
    return Musts(Must((1, 0), code, status, True), Must((1, 1)), Must((1, 2), code, status, True))


def clients(code: str, status: int = 400) -> Musts:
    """The client's own: nobody else is asked."""
    return Musts(*(Must((1, 0), code, status),) * 3)


def recipe(name: str, musts: Musts, *answers: Answer, **more: object) -> Recipe:
    return Recipe(name, answers, *musts, **more)  # type: ignore[arg-type]  # its fields


ERROR = partial(early, "upstream_error", 502)
CUT = partial(early, "upstream_interrupted", 502)
MALFORMED_LATE = late("upstream_malformed")
MALFORMED = partial(early, "upstream_malformed", 502)

REFUSALS = [
    recipe("429 once", Musts(Must((2, 0)), Must((1, 1)), busy().dying), refused("429 Too Many", LIMITED), well),
    recipe("429 for ever", busy(), refused("429 Too Many", LIMITED)),
    recipe(
        "429 once, Retry-After 7",
        Musts(Must((2, 0)), Must((1, 1)), busy().dying),
        refused("429 Too Many", LIMITED, 7.0),
        well,
    ),
    recipe("429 for ever, Retry-After 7", busy(), refused("429 Too Many", LIMITED, 7.0)),
    recipe(
        "429, Retry-After longer than the deadline",
        busy()._replace(alone=Must((1, 0), "rate_limit_exceeded", 429)),
        refused("429 Too Many", LIMITED, 60.0),
    ),
    recipe("529 for ever", busy(), refused("529 Overloaded", error("", "Overloaded", "overloaded_error"))),
    recipe("500 once", unseen(2), refused("500 Internal"), well),
    recipe("500 for ever", ERROR(), refused("500 Internal")),
    recipe("503 for ever", ERROR(), refused("503 Unavailable")),
    recipe("401", early("upstream_auth_error", 502, 1), refused("401 Unauthorized", error("invalid_api_key"))),
    recipe(
        "400 context length",
        clients("context_length_exceeded"),
        refused("400 Bad Request", error("context_length_exceeded", "Too long.", "invalid_request_error")),
    ),
    recipe(
        "400 context length, and the fallback's window is larger",
        early("context_length_exceeded", 400, 1),
        refused("400 Bad Request", error("context_length_exceeded", "Too long.", "invalid_request_error")),
        facts={"context": 4096},
        other={"context": 8192},
    ),
    recipe(
        "400 content policy",
        clients("content_policy_violation"),
        refused("400 Bad Request", error("content_policy_violation", "No.", "invalid_request_error")),
    ),
]
CONNECTIONS = [
    recipe("reset before headers", CUT(), bare(end="reset")),
    recipe("reset before headers, once", unseen(2), bare(end="reset"), well),
    recipe("closed before headers", CUT(), bare(end="clean")),
    recipe("reset in headers", CUT(), bare(head()[:40], end="reset")),
    recipe("reset in the body, before content", CUT(), said(OPENER, whole=False, end="reset")),
    recipe("reset in the body, once", unseen(2), said(OPENER, whole=False, end="reset"), well),
    recipe("reset inside an error's body", ERROR(), bare(head("500 Internal", more="x: y") + chunk(b"{"), end="reset")),
    recipe("accepted and silent", early("upstream_timeout", 504, 1, held=True), bare(end="stall")),
    recipe("headers, and then silent", early("upstream_timeout", 504, 1, held=True), bare(head(), end="stall")),
    recipe("first token after 20 s", unseen(), raw(20.0, *EVENTS)),
    recipe("flapping", unseen()._replace(alone=Must((10, 0)), healthy=Must((10, 0)), dying=Must((10, 0))),
           *(refused("500 Internal"), well) * 5, requests=5, every=1.0),
]  # fmt: skip
MIDDLE = [
    recipe("cut after 2 words, with the final chunk", late("upstream_interrupted"), said(OPENER, *TWO)),
    recipe("cut after 2 words, by a close", late("upstream_interrupted"), said(OPENER, *TWO, whole=False, end="clean")),
    recipe("cut after 2 words, by a reset", late("upstream_interrupted"), said(OPENER, *TWO, whole=False, end="reset")),
    recipe(
        "cut in an event",
        late("upstream_interrupted"),
        raw(*EVENTS[:3], EVENTS[3][:-20], end="reset", whole=False),
    ),
    recipe("stall after 2 words", late("upstream_timeout", 504), said(OPENER, *TWO, whole=False, end="stall")),
    recipe(
        "reset while it thinks",
        Musts(
            Must((2, 0), "upstream_interrupted", 502, True),
            Must((2, 1)),
            Must((2, 2), "upstream_interrupted", 502, True),
        ),
        said(OPENER, payload({"reasoning_content": "Well,"}), whole=False, end="reset"),
    ),
    recipe("error in-band, first", ERROR(), said(OVERLOAD)),
    recipe("error in-band, first, after the opener", ERROR(), said(OPENER, OVERLOAD)),
    recipe("rate limit in-band, first", busy(), said(LIMITED)),
    recipe("error in-band, in the middle", late("upstream_error"), among(sse(OVERLOAD), 3)),
    recipe("error in-band, last", late("upstream_error"), said(OPENER, *words(), OVERLOAD, DONE)),
    recipe("error event by its name", late("upstream_error"), raw(*EVENTS[:3], b"event: error\n" + sse(OVERLOAD))),
    recipe("[DONE] without a finish_reason", late("upstream_interrupted"), said(OPENER, *words(), DONE)),
    recipe("a finish_reason that nobody knows", MALFORMED_LATE, said(OPENER, *words(), payload(finish="magic"), DONE)),
    recipe(
        "prefill refused",
        Musts(
            Must((2, 0), "upstream_interrupted", 502, True),
            Must((2, 1)),
            Must((2, 2), "upstream_interrupted", 502, True),
        ),
        with_no_prefill(said(OPENER, *TWO, whole=False, end="reset")),
        facts={"prefill": True},
    ),
]  # fmt: skip
EVENTS_OF_ALL_KINDS = [
    recipe("malformed event, first", MALFORMED(), among(b"data: {oops\n\n", 0)),
    recipe("malformed event, in the middle", MALFORMED_LATE, among(b"data: {oops\n\n", 4)),
    recipe("malformed event, before the finish", MALFORMED_LATE, among(b"data: {oops\n\n", len(words()) + 1)),
    recipe("event that is no object", MALFORMED_LATE, among(b"data: 17\n\n", 4)),
    recipe("event with a NUL", MALFORMED_LATE, among(b'data: {"a":"\0"}\n\n', 4)),
    recipe("event in invalid UTF-8", MALFORMED_LATE, among(sse(payload({"content": "?"}).replace(b"?", b"\xc3")), 4)),
    recipe("giant event", MALFORMED_LATE, among(GIANT, 4)),
    recipe("giant line that never ends", MALFORMED_LATE, raw(*EVENTS[:3], GIANT[:-2], whole=False, end="stall")),
    recipe("empty events", unseen(), among(b"data:\n\ndata: \n\n\n\n", 4)),
    recipe("pings and comments", unseen(), among(b": ping\n\n: OPENROUTER PROCESSING\nevent: ping\n\n", 4)),
    recipe("BOM", unseen(), raw(b"\xef\xbb\xbf" + EVENTS[0], *EVENTS[1:])),
    recipe("line ends mixed", unseen(), raw(*(_ended(each, at) for at, each in enumerate(EVENTS)))),
    recipe("opener, finish, usage, [DONE] doubled", unseen(), said(OPENER, OPENER, *words(), *DOUBLED)),
    recipe("missing [DONE]", unseen(), said(OPENER, *words(), FINISH)),
    recipe("missing [DONE], and a close", unseen(), said(OPENER, *words(), FINISH, whole=False, end="clean")),
    recipe("missing [DONE], and a reset", unseen(), said(OPENER, *words(), FINISH, whole=False, end="reset")),
    recipe("reset inside [DONE]", unseen(), raw(*EVENTS[:-1], b"data: [DO", whole=False, end="reset")),
    recipe("error in-band after the finish_reason", unseen(), said(OPENER, *words(), FINISH, OVERLOAD)),
    recipe("silence after the finish_reason", unseen(), said(OPENER, *words(), FINISH, whole=False, end="stall")),
    recipe("words after the finish_reason, in one read", unseen(), raw(sse(OPENER, *words(), FINISH, *TWO, DONE))),
    recipe("malformed event, in one read with the rest", MALFORMED_LATE, raw(sse(OPENER, *TWO, b"{oops", DONE))),
    recipe("words after the finish_reason", unseen(), said(OPENER, *words(), FINISH, *TWO, DONE)),
]  # fmt: skip

DISTURBANCES: dict[str, tuple[bytes, ...]] = {
    "harmless": (
        b": ping\n\n",
        b": hb\n",
        b"data:\n\n",
        b"event: ping\n\n",
        b"id: 7\n\n",
        b"retry: 5\n\n",
        b"\r\n\r\n",
        b"\n",
    ),
    "malformed": (b"data: {oops\n\n", b"data: 17\n\n", b'data: {"a":"\0"}\n\n', b"data: \xff\n\n", GIANT),
    "error": (sse(OVERLOAD), b"event: error\n" + sse(OVERLOAD)),
}
"""What may stand between two events, as bytes."""

RECIPES: list[Recipe] = [*REFUSALS, *CONNECTIONS, *MIDDLE, *EVENTS_OF_ALL_KINDS]

FALLBACKS: dict[Arrangement, Callable[[Moment], Play] | None] = {"alone": None, "healthy": well, "dying": dying}
