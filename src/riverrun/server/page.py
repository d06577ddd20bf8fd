"""GET /: one small page for a person: what runs here, which models answer, and a line to paste."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from html import escape
from importlib.resources import files
from shlex import quote
from string import Template

from riverrun import __version__
from riverrun.runs.runs import Grant, Runs
from riverrun.server.exchange import Exchange
from riverrun.server.status import Overview, Standing, TargetStanding
from riverrun.server.stream import Header

WELL = frozenset({"ready", "closed"})
"""States in which a target is asked: a local model's, and a breaker's."""

PAGE = Template(files(__package__).joinpath("page.html").read_text(encoding="utf-8"))

HEADERS: list[Header] = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; img-src data:"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
]


def curl_line(base: str, model: str, *, key: bool) -> str:
    """A command that works when pasted into a POSIX shell: a streamed answer of `model` from `base` (…/v1)."""
    messages = [{"role": "user", "content": "What is a river?"}]
    question = {"model": model, "stream": True, "max_tokens": 200, "messages": messages}
    secret = ' -H "authorization: Bearer $RIVERRUN_API_KEY"' if key else ""
    return (
        f"curl -N {base}/chat/completions{secret} -H 'content-type: application/json' -d {quote(json.dumps(question))}"
    )


class Page:
    """`overview` tells every name, its targets and their states. `keyed`: clients need a key, so the examples show
    where it goes. The page itself never holds one.
    """

    def __init__(self, overview: Callable[[], Awaitable[Overview]], runs: Runs, *, keyed: bool) -> None:
        self._overview = overview
        self._runs = runs
        self._keyed = keyed

    async def __call__(self, exchange: Exchange, grant: Grant) -> None:
        base = f"{exchange.scheme}://{exchange.headers.get('host', '127.0.0.1:8000')}/v1"
        models = (await self._overview()).models
        named = next((each.name for each in models if "*" not in each.name), "smollm2-135m")
        body = PAGE.substitute(
            status="Shutting down" if self._runs.draining else "Running",
            version=__version__,
            base=escape(base),
            models="".join(map(_row, models)) or "<tr><td colspan=2>none yet: <code>riverrun pull smollm2-135m</code>",
            curl=escape(curl_line(base, named, key=self._keyed)),
            key="your key" if self._keyed else "unused",
        )
        await exchange.answer(200, body.encode(), HEADERS)


def _row(model: Standing) -> str:
    """A model with what answers for it, in the order in which it is asked."""
    return f"<tr><td><code>{escape(model.name)}</code><td>{'<br>'.join(map(_target, model.targets))}"


def _target(each: TargetStanding) -> str:
    after = f" (after {each.after})" if each.after else ""
    shown = "ready" if each.state in WELL else "other"
    return f'<span class="{shown}">{escape(each.target)}{escape(after)} {escape(each.state)}</span>'
