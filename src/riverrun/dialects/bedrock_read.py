"""A ConverseStream answer, event by event, as deltas. The grammar of what comes out is the assembler's.

Text is passed on as the JSON literal it came as. Calls of tools that the upstream runs itself are skipped, and unknown
events too.
"""

from __future__ import annotations

from collections.abc import Callable

from riverrun.dialects.bedrock_events import Cited, Content, Part, Thought, ToolUse, answer, part
from riverrun.dialects.bedrock_failure import stream_failure
from riverrun.dialects.blame import malformed, unfinished
from riverrun.dialects.citations import Citations
from riverrun.dialects.endings import reason_of, unreadable
from riverrun.dialects.literals import document, text
from riverrun.dialects.rows import Row
from riverrun.dialects.thoughts import Thinking, sealed
from riverrun.routing.target import Target
from riverrun.stream.ask import Ask
from riverrun.stream.deltas import (
    Delta,
    Finish,
    Open,
    ToolArgs,
    ToolOpen,
)
from riverrun.wire.aws_events import ERROR
from riverrun.wire.sse import Event

OURS = frozenset({"", "tool_use"})
"""Types of calls that the client makes. (`server_tool_use` is one that the upstream makes itself.)"""


class BedrockReader:
    """One answer. `done` once the metadata came, which is the last event; what follows is ignored."""

    def __init__(self, ask: Ask, target: Target, row: Row) -> None:
        self.done = False
        self._choice = ask.choices[0]
        self._target = target
        self._row = row
        self._finished = False
        self._calls: set[int] = set()  # blocks that are calls of ours
        self._thinking = Thinking(self._choice)
        self._citations = Citations(self._choice)

    def read(self, event: Event) -> list[Delta]:
        """The deltas of one event. Raises Failure for an exception inside the stream, or a malformed event."""
        if self.done:
            return []
        if event.name == ERROR or event.name.endswith(b"Exception"):
            raise stream_failure(event.name, event.data, self._target)
        step = EVENTS.get(event.name)
        if step is None:
            return []
        out: list[Delta] = []
        try:
            step(self, part(event.data), out)
        except (ValueError, RecursionError) as error:
            unreadable(error)
        return out

    def whole(self, body: bytes) -> list[Delta]:
        """The deltas of an answer that came as one JSON object (Converse). Raises Failure where it is incomplete."""
        out: list[Delta] = []
        try:
            said = answer(body)
            out.append(Open(self._choice))
            for index, content in enumerate(said.output.message.content if said.output is not None else ()):
                self._opened(index, content, out)
                self._said(index, content, out)
                self._stop(Part(content_block_index=index), out)
            self._ended(said.stop_reason, out)
        except (ValueError, RecursionError) as error:
            unreadable(error)
        if said.usage is not None:
            out.append(said.usage.usage())
        return out + self.finish()

    def finish(self) -> list[Delta]:
        """At the end of the body. Raises Failure where the answer has no ending."""
        if not self._finished:
            raise unfinished(self._target, self._choice)
        self.done = True
        return []

    # One step per kind of event.

    def _start(self, this: Part, out: list[Delta]) -> None:
        out.append(Open(self._choice))

    def _block_start(self, this: Part, out: list[Delta]) -> None:
        if this.start is not None:
            self._opened(this.content_block_index, this.start, out)

    def _block_delta(self, this: Part, out: list[Delta]) -> None:
        if this.delta is not None:
            self._said(this.content_block_index, this.delta, out)

    def _stop(self, this: Part, out: list[Delta]) -> None:
        out += self._citations.close()

    def _message_stop(self, this: Part, out: list[Delta]) -> None:
        self._ended(this.stop_reason, out)

    def _metadata(self, this: Part, out: list[Delta]) -> None:
        if this.usage is not None:
            out.append(this.usage.usage())
        if self._finished:
            self.finish()

    # What a block says.

    def _opened(self, index: int, content: Content, out: list[Delta]) -> None:
        call = content.tool_use
        if call is None or call.type not in OURS:
            return
        if not call.tool_use_id or not call.name:
            malformed("it holds a tool call without an id or a name")
        self._calls.add(index)
        out.append(ToolOpen(self._choice, index, call.tool_use_id, call.name))

    def _said(self, index: int, content: Content, out: list[Delta]) -> None:
        words = text(content.text)
        if words:
            out.append(self._citations.say(words))
        elif content.tool_use is not None:
            self._argued(index, content.tool_use, out)
        elif content.reasoning_content is not None:
            self._thought(index, content.reasoning_content, out)
        elif content.citation is not None:
            self._citations.cite(content.citation.url, content.citation.title)
        elif content.citations_content is not None:
            self._cited(content.citations_content, out)

    def _argued(self, index: int, call: ToolUse, out: list[Delta]) -> None:
        """Arguments of a call of ours: a fragment, or the object of a whole answer."""
        arguments = document(call.input)
        if arguments and index in self._calls:
            out.append(ToolArgs(self._choice, index, arguments))

    def _thought(self, index: int, thinking: Thought, out: list[Delta]) -> None:
        said = thinking.reasoning_text or thinking
        words = text(said.text)
        if words:
            out.append(self._thinking.say(index, words))
        if said.signature:
            out.append(self._thinking.sign(index, said.signature))
        if thinking.redacted_content:
            out.append(sealed(self._choice, thinking.redacted_content))

    def _cited(self, cited: Cited, out: list[Delta]) -> None:
        for each in cited.content:
            words = text(each.text)
            if words:
                out.append(self._citations.say(words))
        for citation in cited.citations:
            self._citations.cite(citation.url, citation.title)

    def _ended(self, word: str | None, out: list[Delta]) -> None:
        if word is None or self._finished:
            return
        out.append(Finish(self._choice, reason_of(word, self._row, self._target)))
        self._finished = True


EVENTS: dict[bytes, Callable[[BedrockReader, Part, list[Delta]], None]] = {
    b"messageStart": BedrockReader._start,
    b"contentBlockStart": BedrockReader._block_start,
    b"contentBlockDelta": BedrockReader._block_delta,
    b"contentBlockStop": BedrockReader._stop,
    b"messageStop": BedrockReader._message_stop,
    b"metadata": BedrockReader._metadata,
}
