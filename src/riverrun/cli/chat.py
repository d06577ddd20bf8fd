"""`riverrun chat`: a conversation in the terminal, through the same API that any client uses."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import msgspec
import typer

from riverrun.backends.upstream import Upstream
from riverrun.cli.local import local_server
from riverrun.cli.terminal import err, out
from riverrun.dialects.openai import OpenAI
from riverrun.failures import Failure
from riverrun.routing.target import Target
from riverrun.stream.ask import Ask
from riverrun.stream.deltas import Delta, Reasoning, Refusal, Text, Usage
from riverrun.stream.flow import Ending, Refused
from riverrun.wire.jsonvalue import JsonValue
from riverrun.wire.request import parse_chat

Messages = list[JsonValue]


def chat(
    model: Annotated[str, typer.Argument(help="The model to talk to.")] = "smollm2-135m",
    url: Annotated[
        str | None, typer.Option(help="A server's address, ending in /v1. Without it a server is started here.")
    ] = None,
    key: Annotated[str | None, typer.Option(envvar="RIVERRUN_API_KEY", help="The server's API key.")] = None,
    system: Annotated[str | None, typer.Option(help="What the model is told before the conversation.")] = None,
    max_tokens: Annotated[int, typer.Option(help="The longest answer, in tokens.")] = 1024,
) -> None:
    """Talk to a model. Ctrl-C stops an answer; Ctrl-D ends the conversation."""
    with asyncio.Runner() as runner:
        conversation = Conversation(Upstream({"openai": OpenAI()}), model, key, system, max_tokens)
        if url is not None:
            conversation.talk(runner, url)
            return
        with local_server(runner, model) as address:
            conversation.talk(runner, f"{address}/v1")


class Conversation:
    """What was said so far, and the upstream that says more."""

    def __init__(self, upstream: Upstream, model: str, key: str | None, system: str | None, limit: int) -> None:
        self._upstream = upstream
        self._model = model
        self._key = key
        self._limit = limit
        self._messages: Messages = [{"role": "system", "content": system}] if system else []

    def talk(self, runner: asyncio.Runner, base_url: str) -> None:
        """Question and answer until the person has had enough."""
        target = Target(name=self._model, model=self._model, base_url=base_url, row="compatible", key=self._key)
        if sys.stdin.isatty():
            out.print(f"Talking to {self._model}. Ctrl-C stops an answer, Ctrl-D ends.", style="dim")
        while (question := _question()) is not None:
            if question.strip():
                self._messages.append({"role": "user", "content": question})
                self._turn(runner, target)

    def _turn(self, runner: asyncio.Runner, target: Target) -> None:
        answer = Answer()
        try:
            runner.run(answer.of(self._upstream, self._ask(), target))
        except KeyboardInterrupt:
            out.print("\n(stopped)", style="dim")
        except Failure as failure:
            err.print(f"\n{failure.message}", style="red", markup=False)
            self._messages.pop()
            return
        self._messages.append({"role": "assistant", "content": answer.text})

    def _ask(self) -> Ask:
        body = {"model": self._model, "stream": True, "messages": self._messages, "max_tokens": self._limit}
        return Ask(parse_chat(msgspec.json.encode(body)), id="chat", created=0, caller="chat")


class Answer:
    """A sink that prints what it hears."""

    def __init__(self) -> None:
        self.text = ""
        self._usage: Usage | None = None
        self._first: float | None = None

    async def of(self, upstream: Upstream, ask: Ask, target: Target) -> None:
        """Prints one answer as it comes, then how fast it was. Cancelling it closes the upstream's connection."""
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[Ending] = self._loop.create_future()
        call = upstream.start(ask, target, self, lambda target, dropped: None)
        try:
            ending = await self._over
        finally:
            call.cancel()
            await asyncio.sleep(0)  # lets the socket close before the loop stops
        if isinstance(ending, Refused):
            raise ending.failure
        self._print("\n")
        self._speed()

    def push(self, deltas: list[Delta]) -> None:
        for delta in deltas:
            if isinstance(delta, Text | Refusal | Reasoning):
                self._first = self._first or self._loop.time()
                text = msgspec.json.decode(delta.literal, type=str)
                if not isinstance(delta, Reasoning):
                    self.text += text
                self._print(text)
            elif isinstance(delta, Usage):
                self._usage = delta

    def end(self, ending: Ending) -> None:
        if not self._over.done():
            self._over.set_result(ending)

    def _print(self, text: str) -> None:
        sys.stdout.write(_harmless(text))
        sys.stdout.flush()

    def _speed(self) -> None:
        if self._usage is None or self._first is None:
            return
        tokens, seconds = self._usage.completion_tokens, self._loop.time() - self._first
        rate = f", {(tokens - 1) / seconds:.0f} tokens/s" if tokens > 1 and seconds > 0 else ""
        err.print(f"{tokens} tokens{rate}", style="dim")


def _question() -> str | None:
    """The next question; None at the end of the input, or on Ctrl-C at the prompt."""
    try:
        return input("> " if sys.stdin.isatty() else "")
    except (EOFError, KeyboardInterrupt):
        return None


def _harmless(text: str) -> str:
    """A model's text without the control characters that would take over the terminal."""
    return "".join(letter for letter in text if letter.isprintable() or letter in "\n\t")
