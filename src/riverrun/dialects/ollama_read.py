"""An Ollama answer, line by line, as deltas. It has one choice, and its own ending: `done`.

Text is passed on as the JSON literal it came as.
"""

from __future__ import annotations

import msgspec

from riverrun.dialects.blame import malformed, unfinished
from riverrun.dialects.endings import reason_of, unreadable
from riverrun.dialects.literals import document, text
from riverrun.dialects.ollama_events import Call, Line, line
from riverrun.dialects.ollama_failure import stream_failure
from riverrun.dialects.openai_logprobs import trimmed
from riverrun.dialects.rows import Row
from riverrun.routing.target import Target
from riverrun.stream.ask import Ask
from riverrun.stream.deltas import Delta, Finish, Open, Reasoning, Text, ToolArgs, ToolOpen, Usage
from riverrun.stream.tool_answer import call_id
from riverrun.wire.sse import Event


class OllamaReader:
    """One answer. `done` once its last line came; what follows is ignored."""

    def __init__(self, ask: Ask, target: Target, row: Row) -> None:
        self.done = False
        self._ask_id = ask.id
        self._target = target
        self._row = row
        self._choice = ask.choices[0]
        self._opened = False
        self._calls = 0
        self._logprobs = bool(ask.chat.request.logprobs)
        self._most = ask.chat.request.top_logprobs or 0

    def read(self, event: Event) -> list[Delta]:
        """The deltas of one line. Raises Failure for an error inside the stream, or a malformed line."""
        if self.done:
            return []
        try:
            return self._deltas(line(event.data))
        except (ValueError, RecursionError) as error:
            unreadable(error)

    def whole(self, body: bytes) -> list[Delta]:
        """The deltas of an answer that came as one JSON object. Raises Failure where it is an error, or incomplete."""
        return self.read(Event(body)) + self.finish()

    def finish(self) -> list[Delta]:
        """At the end of the body. Raises Failure where the last line did not come."""
        if not self.done:
            raise unfinished(self._target, self._choice)
        return []

    def _deltas(self, sent: Line) -> list[Delta]:
        if sent.error:
            raise stream_failure(self._target)
        out: list[Delta] = []
        if not self._opened:
            self._opened = True
            out.append(Open(self._choice))
        if sent.message is not None:
            self._said(sent, out)
        if sent.done:
            out.append(Finish(self._choice, reason_of(sent.done_reason or "stop", self._row, self._target)))
            out += _usage(sent)
            self.done = True
        return out

    def _said(self, sent: Line, out: list[Delta]) -> None:
        assert sent.message is not None
        thinking, words = text(sent.message.thinking), text(sent.message.content)
        tokens = self._tokens(sent)
        if thinking is not None:
            out.append(Reasoning(self._choice, thinking))
        if words is not None or tokens is not None:
            out.append(Text(self._choice, words or b'""', tokens))
        for call in sent.message.tool_calls or ():
            self._call(call, out)

    def _tokens(self, sent: Line) -> bytes | None:
        """The tokens behind visible text; those of a thought have no place in the API."""
        if not self._logprobs or not sent.logprobs or (sent.message is not None and text(sent.message.thinking)):
            return None
        return trimmed(msgspec.Raw(b'{"content":%b}' % bytes(sent.logprobs)), self._most)[0]

    def _call(self, call: Call, out: list[Delta]) -> None:
        if not call.function.name:
            malformed("it holds a tool call without a name")
        number = self._calls
        self._calls += 1
        id = call.id or call_id(self._ask_id, self._choice, number)
        out.append(ToolOpen(self._choice, number, id, call.function.name))
        arguments = document(call.function.arguments)
        if arguments is not None:
            out.append(ToolArgs(self._choice, number, arguments))


def _usage(sent: Line) -> list[Delta]:
    """The counts of the last line; a prompt that was cached whole has none."""
    if sent.prompt_eval_count is None and sent.eval_count is None:
        return []
    return [Usage(sent.prompt_eval_count or 0, sent.eval_count or 0)]
