"""For each rule of streams two captures with one defect; the key is the rule that must find it."""

from __future__ import annotations

import json

from riverrun.conformance import Capture
from tests.conformance.changes import (
    BODY,
    CALL_TAIL,
    TAIL,
    THREE_ASK,
    Mutants,
    at,
    choice_at,
    error,
    inserted,
    mutant,
    paced,
    put,
    refused,
    replaced,
    token_changed,
    uneven,
    without,
)
from tests.conformance.streams import (
    ASK,
    CALLING,
    ERROR,
    IDENTITY,
    LOGPROBS_ASK,
    OPENING,
    SSE,
    TOOLS_ASK,
    WITH_USAGE,
    WORDS,
    Object,
    calls,
    captured,
    choice,
    chunk,
    counted,
    end,
    event,
    fragment,
    fragments,
    logprobs,
    opened,
    rendered,
    say,
    text,
    three,
    whole,
)

GOOD_ERROR = json.dumps({"error": ERROR}).encode()
CUSTOM: Object = {"index": 0, "id": "call_c", "type": "custom", "custom": {"name": "sql", "input": ""}}
OTHER_TOOLS: Object = {**WITH_USAGE, "tools": [{"type": "function", "function": {"name": "sql"}}]}


def called(*fragment_chunks: Object) -> list[Object]:
    """A stream of tool calls made of these chunks."""
    return [say(CALLING), *fragment_chunks, *CALL_TAIL]


FIRST = fragments(opened(0, "call_a", "get_weather"))
SECOND = fragments(opened(1, "call_b", "f"))
EMPTY = fragments(fragment(0, "{}"))

JSON = (("content-type", "application/json"),)

FRAMING: dict[str, Mutants] = {
    "F1": (
        mutant(text(), headers=(("content-type", "text/plain"),)),
        mutant(text(), headers=(("content-type", "text/event-stream; charset=latin-1"),)),
    ),
    "F2": (
        mutant(GOOD_ERROR, headers=JSON),
        mutant(text(), headers=JSON),
    ),
    "F3": (
        mutant(replaced(b',"choices"', b',\ndata: "choices"')),
        mutant(replaced(b'"created"', b'\ndata: "created"')),
    ),
    "F4": (mutant(inserted(b"event: ping\n\n")), mutant(inserted(b"data: ping\n\n"))),
    "F5": (mutant(inserted(b"retry: 3000\n\n")), mutant(inserted(b"retry: 3000\n\n", 0, numbered=True))),
    "F6": (mutant(inserted(b": ping\n\n", numbered=True)), mutant(inserted(b"\n", 3, numbered=True))),
    "F7": (mutant(inserted(b"PROCESSING\n\n")), mutant(inserted(b"ping: 1\n\n", 0))),
    "F8": (mutant(b"\xef\xbb\xbf" + BODY), mutant(b"\xef\xbb\xbf" + rendered(calls()), TOOLS_ASK)),
    "F9": (mutant(replaced(b"\n\n", b"\r\n\r\n")), mutant(BODY.removesuffix(b"\n\n") + b"\r\r")),
    "F10": (mutant(BODY[:-1]), mutant(BODY[:-2])),
    "F11": (mutant(rendered(text(), b'data: "[DONE]"\n\n')), mutant(rendered(text(), b"data: [DONE] \n\n"))),
    "F12": (mutant(BODY + b": bye\n\n"), mutant(rendered(text(), b""))),
    "F13": (mutant(replaced(b" there", b" th\xc3re")), mutant(text(["Hel\ufffdlo"]))),
    "F14": (
        mutant(text(["\ud83d", "\ude42"])),
        mutant(called(FIRST, fragments(fragment(0, '{"a":"\ud83d')), fragments(fragment(0, '\ude42"}'))), TOOLS_ASK),
    ),
    "F16": (mutant(inserted(b"event: chunk\n" + event(say({"content": "x"})))), mutant(b"event: delta\n" + BODY)),
    "F17": (
        mutant(text(), blocks=paced(buffered=True), ended_at=2.0),
        mutant(text(), blocks=paced(buffered=False), ended_at=2.1),
    ),
}  # fmt: skip

IDENTITIES: dict[str, Mutants] = {
    "I1": (mutant(at(3, text(), id="chatcmpl-other")), mutant([{**one, "id": ""} for one in text()])),
    "I2": (mutant(at(-1, text(), created=1790000001)), mutant([{**one, "created": 1.5e9 + 0.25} for one in text()])),
    "I3": (mutant(at(2, text(), model="gpt-4o")), mutant(without(-1, "model", text()))),
    "I4": (mutant(at(-1, text(), object="")), mutant([{**one, "object": "chat.completion"} for one in text()])),
    "I5": (
        mutant(at(4, text(), system_fingerprint="fp_other")),
        mutant([{**one, "service_tier": "gold"} for one in text()]),
    ),
    "I6": (mutant(at(-1, text(), choices=None)), mutant(without(-1, "choices", text()))),
}  # fmt: skip

DELTAS: dict[str, Mutants] = {
    "O1": (mutant(calls()[1:], TOOLS_ASK), mutant(choice_at(0, text(), delta={"content": ""}))),
    "O2": (
        mutant([say(OPENING), *(say({"role": "assistant", "content": word}) for word in WORDS), *TAIL]),
        mutant(put(4, calls(), say({"role": "assistant"})), TOOLS_ASK),
    ),
    "O3": (
        mutant(choice_at(0, text(), delta={"role": "", "content": ""})),
        mutant(choice_at(0, text(), delta={"role": "model", "content": ""})),
    ),
    "O4": (
        mutant(choice_at(0, text(), delta={"role": "assistant", "content": None})),
        mutant(choice_at(0, text(), delta={"role": "assistant", "content": "Well,"})),
    ),
    "O5": (
        mutant(choice_at(2, text(), delta={"content": [{"type": "text", "text": "x"}]})),
        mutant(choice_at(2, text(), delta={"content": 7})),
    ),
    "O6": (
        mutant(choice_at(-2, text(), delta=None)),
        mutant(put(3, text(), chunk({"index": 0, "finish_reason": None}))),
    ),
    "O7": (mutant(choice_at(-2, text(), delta={"content": "!"})), mutant(choice_at(-2, text(), finish_reason="abort"))),
    "O8": (
        mutant(put(-1, text(), say({"content": "more"}))),
        mutant(put(-1, calls(), fragments(fragment(1, ""))), TOOLS_ASK),
    ),
    "O9": (
        mutant(choice_at(3, text(), finish_reason="")),
        mutant(put(3, text(), chunk({"index": 0, "delta": {"content": "x"}}))),
    ),
    "O10": (mutant([*text()[:-2], counted()]), mutant([*three()[:-2], three()[-1]], THREE_ASK)),
    "O11": (
        mutant([*text()[:-2], counted(), end("stop")]),
        mutant([*text()[:-1], chunk(moderation={"input": {}, "output": {}}), counted()]),
    ),
    "O12": (
        mutant(put(3, text(), say({"reasoning_details": [{"type": "reasoning.text", "text": "Hm"}]}))),
        mutant(put(3, text(), say({"annotations": [{"type": "url_citation"}]}))),
    ),
    "O13": (
        mutant(put(3, text(), say({"content": "x", "token_id": 5}), say({"content": "y", "token_id": 7}))),
        mutant(put(3, text(), say({"content": "x", "last": False}), say({"content": "y", "last": True}))),
    ),
    "O14": (mutant([{**one, "error": None} for one in text()]), mutant(at(3, text(), error={}))),
}  # fmt: skip

CALLS: dict[str, Mutants] = {
    "T1": (
        mutant(called(fragments(opened(1, "call_a", "f")), fragments(fragment(1, "{}"))), TOOLS_ASK),
        mutant(called(FIRST, fragments({"function": {"arguments": "{}"}})), TOOLS_ASK),
    ),
    "T2": (
        mutant(called(fragments({**opened(0, "", "get_weather")}), EMPTY), TOOLS_ASK),
        mutant(called(fragments({**opened(0, "call_a", "f"), "type": None}), EMPTY), TOOLS_ASK),
    ),
    "T3": (
        mutant(called(FIRST, fragments({**fragment(0, "{}"), "id": "call_a"})), TOOLS_ASK),
        mutant(called(FIRST, fragments({"index": 0, "function": {"name": "f", "arguments": "{}"}})), TOOLS_ASK),
    ),
    "T4": (
        mutant(called(FIRST, fragments({"index": 0}), EMPTY), TOOLS_ASK),
        mutant(called(fragments({"index": 0, "id": "call_a", "type": "function"}), EMPTY), TOOLS_ASK),
    ),
    "T5": (
        mutant(called(fragments(opened(0, "call_a", "f"), fragment(0, "{}"))), TOOLS_ASK),
        mutant(
            called(FIRST, EMPTY, fragments(opened(1, "call_b", "f"), fragment(1, "{}"))),
            TOOLS_ASK,
        ),
    ),
    "T6": (
        mutant(called(FIRST, fragments(opened(1, "call_b", "f")), EMPTY, fragments(fragment(1, "{}"))), TOOLS_ASK),
        mutant(
            called(FIRST, EMPTY, SECOND, fragments(fragment(1, "{}")), fragments(fragment(0, ""))),
            TOOLS_ASK,
        ),
    ),
    "T7": (
        mutant(called(FIRST, EMPTY, fragments(opened(0, "call_b", "get_time")), EMPTY), TOOLS_ASK),
        mutant(called(FIRST, EMPTY, fragments(opened(1, "call_a", "f")), fragments(fragment(1, "{}"))), TOOLS_ASK),
    ),
    "T8": (
        mutant(called(FIRST, fragments(fragment(0, {"city": "Paris"}))), TOOLS_ASK),
        mutant(called(FIRST, fragments(fragment(0, '{"city":'))), TOOLS_ASK),
    ),
    "T10": (
        mutant([*calls()[:-2], *TAIL], TOOLS_ASK),
        mutant([*called(FIRST, EMPTY)[:-2], *TAIL], TOOLS_ASK),
    ),
    "T12": (
        mutant(called(fragments(CUSTOM)), OTHER_TOOLS),
        mutant(called(fragments(CUSTOM), fragments({"index": 0, "custom": {"input": "SELECT 1"}})), ASK | WITH_USAGE),
    ),
    "T13": (
        mutant([
            say({"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": ""}}),
            say({"function_call": {"name": "f", "arguments": "{}"}}), end("function_call"), counted(),
        ]),
        mutant([say({**CALLING, "function_call": {"name": "f", "arguments": "{}"}}), *TAIL]),
    ),
}  # fmt: skip

COUNTS: dict[str, Mutants] = {
    "U1": (mutant(text()[:-1], ASK), mutant([*(without(0, "usage", [one])[0] for one in text()[:-1]), counted()], ASK)),
    "U2": (mutant(without(2, "usage", text())), mutant(put(-1, text(), counted(9, 3)))),
    "U3": (
        mutant([*text()[:-1], uneven(9, 15)]),
        mutant([*text()[:-1], uneven(None, 7)]),
    ),
    "L1": (
        mutant(choice_at(0, logprobs(), logprobs=None), LOGPROBS_ASK),
        mutant(choice_at(-2, logprobs(), logprobs={"content": [], "refusal": None}), LOGPROBS_ASK),
    ),
    "L2": (
        mutant(token_changed(bytes=[32, 32]), LOGPROBS_ASK),
        mutant(token_changed(token="x", bytes=None), LOGPROBS_ASK),
    ),
    "L3": (mutant(token_changed(logprob=0.5), LOGPROBS_ASK), mutant(logprobs(), {**LOGPROBS_ASK, "top_logprobs": 0})),
    "N1": (
        mutant(put(2, text(), chunk(choice({"content": "a"}), choice({"content": "b"})))),
        mutant([
            chunk(*(choice(OPENING, index) for index in range(3))),
            *three()[1:2], *three()[3:4], *three()[5:6], *three()[6:],
        ], THREE_ASK),
    ),
    "N2": (
        mutant([*three()[2:4], *three()[:2], *three()[4:]], THREE_ASK),
        mutant([*three()[:2], *three()[4:6], *three()[2:4], *three()[6:]], THREE_ASK),
    ),
    "N3": (mutant(three(), WITH_USAGE), mutant(three(), {**WITH_USAGE, "n": 2})),
    "N4": (
        mutant([one for one in three() if '"index": 2' not in json.dumps(one)], THREE_ASK),
        mutant([*three()[:-1], counted(9, 4)], THREE_ASK),
    ),
}  # fmt: skip

ERRORS: dict[str, Mutants] = {
    "E2": (
        mutant(error(message=None)),
        refused(b'{"error": {"message": "no", "type": "x", "param": null, "code": 42}}'),
    ),
    "E3": (
        mutant(rendered(text()[:3], b"event: error\n" + event({"message": "Cut."}))),
        mutant(rendered(text()[:3], event({"error": ERROR}) + event(say({"content": "x"})))),
    ),
    "E4": (mutant(rendered(text()[:4], b"")), mutant(rendered(calls()[:4], b""), TOOLS_ASK)),
    "E5": (mutant(BODY[:700]), mutant(rendered(text(), b"data: [DO"))),
    "E6": (
        mutant(choice_at(-2, text(), finish_reason="error")),
        mutant(rendered(text()[:3], event({**IDENTITY, "error": ERROR, "choices": [choice({}, 0, "error")]}))),
    ),
    "E7": (
        refused(GOOD_ERROR, 429),
        refused(GOOD_ERROR, 400, ("content-type", "application/json"), ("x-should-retry", "true")),
    ),
    "E8": (refused(b"<html>Bad gateway</html>", 502), refused(b"Not Found", 404)),
    "B13": (
        mutant(text(), {**WITH_USAGE, "max_tokens": 4}),
        mutant([*text()[:-2], end("length"), counted()], {**WITH_USAGE, "max_tokens": 100}),
    ),
    "B14": (mutant(text(), {**WITH_USAGE, "stop": ["are you"]}), mutant(text(), {**WITH_USAGE, "stop": "?"})),
}  # fmt: skip

STREAMS: dict[str, Mutants] = FRAMING | IDENTITIES | DELTAS | CALLS | COUNTS | ERRORS
"""The rules that one capture can break."""

COMPARED: dict[str, tuple[tuple[Capture, list[Capture]], tuple[Capture, list[Capture]]]] = {
    "Q1": (
        (captured(text()), [whole(finish="length")]),
        (captured(text(WORDS[:-1])), [whole(), captured(text(WORDS[:-1]))]),
    ),
    "C1": (
        (
            captured(text(), exchange="after-cancel", blocks=((9.0, BODY),), ended_at=9.0),
            [captured(text(), exchange="before-cancel")],
        ),
        (
            Capture(status=0, ended="timeout", exchange="after-cancel"),
            [captured(text(), exchange="before-cancel")],
        ),
    ),
    "C4": (
        (Capture(status=0, ended="cut", exchange="reuse"), []),
        (Capture(status=0, ended="timeout", exchange="reuse", headers=SSE), []),
    ),
}  # fmt: skip
"""The rules that compare exchanges: a capture and what stands beside it."""
