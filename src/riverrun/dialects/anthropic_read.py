"""An answer of the Messages API, event by event, as deltas. The grammar of what comes out is the assembler's.

Text is passed on as the JSON literal it came as. Blocks of tools that the upstream runs itself are not the answer's
text and are skipped; unknown events and blocks too, as the API asks of its readers.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Raw

from riverrun.dialects.anthropic_events import Block, Counts, Part, Piece, message, part
from riverrun.dialects.anthropic_failure import stream_failure
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
from riverrun.wire.sse import Event

NO_INPUT = b'"{}"'
"""What a call's opening says in a stream: its arguments are still to come."""


class AnthropicReader:
    """One answer. `done` once its ending came; what follows is ignored."""

    __slots__ = (
        "_calls", "_choice", "_citations", "_counts", "_finished", "_row", "_target", "_thinking", "done",
    )  # fmt: skip

    def __init__(self, ask: Ask, target: Target, row: Row) -> None:
        self.done = False
        self._choice = ask.choices[0]
        self._target = target
        self._row = row
        self._finished = False
        self._counts = Counts()
        self._calls: dict[int, bytes | None] = {}  # open calls by block: arguments that came with the opening, if any
        self._thinking = Thinking(self._choice)
        self._citations = Citations(self._choice)

    def read(self, event: Event) -> list[Delta]:
        """The deltas of one event. Raises Failure for an error inside the stream, or a malformed event."""
        if self.done or not event.data:
            return []
        if event.name == b"error":
            raise stream_failure(event.data, self._target)
        out: list[Delta] = []
        try:
            this = part(event.data)
            piece = this.delta
            if piece is not None and piece.type == "text_delta" and this.type == "content_block_delta":
                self._text(piece.text, out)  # nearly every event: without the two tables, three calls fewer
            elif this.type == "error":
                raise stream_failure(event.data, self._target)
            elif this.type in EVENTS:
                EVENTS[this.type](self, this, out)
        except (ValueError, RecursionError) as error:
            unreadable(error)
        return out

    def whole(self, body: bytes) -> list[Delta]:
        """The deltas of an answer that came as one JSON object. Raises Failure where it is an error, or incomplete."""
        out: list[Delta] = []
        try:
            answer = message(body)
            if answer.type == "error":
                raise stream_failure(body, self._target)
            self._open(answer.model, out)
            for index, block in enumerate(answer.content):
                self._block(index, block, out)
                self._stop(Part(index=index), out)
            if answer.stop_reason is not None:
                self._finish(answer.stop_reason, out)
        except (ValueError, RecursionError) as error:
            unreadable(error)
        if answer.usage is not None:
            out.append(answer.usage.usage())
        return out + self.finish()

    def finish(self) -> list[Delta]:
        """At the end of the body. Raises Failure where the answer has no ending."""
        if not self._finished:
            raise unfinished(self._target, self._choice)
        self.done = True
        return []

    # One step per kind of event.

    def _start(self, this: Part, out: list[Delta]) -> None:
        if this.message is not None:
            self._open(this.message.model, out)
            self._count(this.message.usage, out)

    def _block_start(self, this: Part, out: list[Delta]) -> None:
        if this.content_block is not None:
            self._block(this.index, this.content_block, out)

    def _block_delta(self, this: Part, out: list[Delta]) -> None:
        if this.delta is not None:
            step = PIECES.get(this.delta.type)
            if step is not None:
                step(self, this.index, this.delta, out)

    def _stop(self, this: Part, out: list[Delta]) -> None:
        """The end of a block: a call's arguments that came with its opening, and the places that text cites."""
        early = self._calls.pop(this.index, None)
        if early is not None and early != NO_INPUT:
            out.append(ToolArgs(self._choice, this.index, early))
        out += self._citations.close()

    def _message_delta(self, this: Part, out: list[Delta]) -> None:
        if this.delta is not None and this.delta.stop_reason is not None:
            self._finish(this.delta.stop_reason, out)
        self._count(this.usage, out)

    def _message_stop(self, this: Part, out: list[Delta]) -> None:
        self.finish()

    # Blocks, and the pieces that they are made of.

    def _block(self, index: int, block: Block, out: list[Delta]) -> None:
        step = BLOCKS.get(block.type)
        if step is not None:
            step(self, index, block, out)

    def _text_block(self, index: int, block: Block, out: list[Delta]) -> None:
        self._text(block.text, out)
        for citation in block.citations or ():
            self._citations.cite(citation.url, citation.title)

    def _thinking_block(self, index: int, block: Block, out: list[Delta]) -> None:
        self._think(index, block.thinking, out)
        self._sign(index, block.signature, out)

    def _redacted_block(self, index: int, block: Block, out: list[Delta]) -> None:
        out.append(sealed(self._choice, block.data))

    def _tool_block(self, index: int, block: Block, out: list[Delta]) -> None:
        if not block.id or not block.name:
            malformed("it holds a tool call without an id or a name")
        self._calls[index] = document(block.input)
        out.append(ToolOpen(self._choice, index, block.id, block.name))

    def _thinking_piece(self, index: int, piece: Piece, out: list[Delta]) -> None:
        self._think(index, piece.thinking, out)

    def _signature_piece(self, index: int, piece: Piece, out: list[Delta]) -> None:
        self._sign(index, piece.signature, out)

    def _json_piece(self, index: int, piece: Piece, out: list[Delta]) -> None:
        """Arguments of a call of ours. (Those of a tool that the upstream runs belong to a block we did not open.)"""
        arguments = text(piece.partial_json)
        if index in self._calls and arguments:
            self._calls[index] = None
            out.append(ToolArgs(self._choice, index, arguments))

    def _citation_piece(self, index: int, piece: Piece, out: list[Delta]) -> None:
        if piece.citation is not None:
            self._citations.cite(piece.citation.url, piece.citation.title)

    def _text(self, raw: Raw, out: list[Delta]) -> None:
        said = text(raw)
        if said:
            out.append(self._citations.say(said))

    def _think(self, index: int, raw: Raw, out: list[Delta]) -> None:
        thought = text(raw)
        if thought:
            out.append(self._thinking.say(index, thought))

    def _sign(self, index: int, signature: str | None, out: list[Delta]) -> None:
        if signature:
            out.append(self._thinking.sign(index, signature))

    # The message.

    def _open(self, model: str | None, out: list[Delta]) -> None:
        out.append(Open(self._choice, model if self._row.model == "reported" else None))

    def _finish(self, word: str, out: list[Delta]) -> None:
        if self._finished:
            return
        out.append(Finish(self._choice, reason_of(word, self._row, self._target)))
        self._finished = True

    def _count(self, counts: Counts | None, out: list[Delta]) -> None:
        if counts is not None:
            self._counts = self._counts.updated(counts)
            out.append(self._counts.usage())


EVENTS: dict[str, Callable[[AnthropicReader, Part, list[Delta]], None]] = {
    "message_start": AnthropicReader._start,
    "content_block_start": AnthropicReader._block_start,
    "content_block_delta": AnthropicReader._block_delta,
    "content_block_stop": AnthropicReader._stop,
    "message_delta": AnthropicReader._message_delta,
    "message_stop": AnthropicReader._message_stop,
}
BLOCKS: dict[str, Callable[[AnthropicReader, int, Block, list[Delta]], None]] = {
    "text": AnthropicReader._text_block,
    "thinking": AnthropicReader._thinking_block,
    "redacted_thinking": AnthropicReader._redacted_block,
    "tool_use": AnthropicReader._tool_block,
}
PIECES: dict[str, Callable[[AnthropicReader, int, Piece, list[Delta]], None]] = {
    "thinking_delta": AnthropicReader._thinking_piece,
    "signature_delta": AnthropicReader._signature_piece,
    "input_json_delta": AnthropicReader._json_piece,
    "citations_delta": AnthropicReader._citation_piece,
}
