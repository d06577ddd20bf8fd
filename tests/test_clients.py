"""Real clients against the running server and the real model: see clients/README.md.

Each program runs once and reports all its scenarios; every scenario is a test of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypedDict, cast

import pytest

from tests.clients import environments

COMMON = (
    "text_whole",
    "text_stream",
    "tools_required",
    "tools_stream",
    "tools_named",
    "tools_round_trip",
    "json_schema",
    "usage_stream",
    "unknown_model",
    "bad_parameter",
    "cancel",
)
OWN = {
    "openai-python": (
        "default_client",
        "stream_helper",
        "stream_helper_parsed",
        "stream_helper_tools",
        "n_whole",
        "n_stream",
        "usage_whole",
    ),
    "openai-node": ("stream_helper", "stream_helper_tools", "stream_helper_n", "n_stream"),
    "vercel-ai": (),
    "langchain": ("n_whole", "usage_whole"),
    "llama-index": ("structured", "usage_whole"),
    "pydantic-ai": ("usage_whole",),
    "instructor": ("json_schema_stream", "n_whole", "usage_whole"),
}
WITHOUT = {"instructor": {"tools_round_trip", "usage_stream"}}
SCENARIOS = {
    client: tuple(name for name in COMMON if name not in WITHOUT.get(client, ())) + own for client, own in OWN.items()
}

PROGRAM_LIMIT = 240.0
"""Seconds for all scenarios of one client; the slowest takes about 30 on two cores."""

IDLE_LIMIT = 2.0
"""Seconds after a cancelled stream until its slot is free; uncancelled, it would go on for more than five."""

FOREIGN_SETTINGS = ("OPENAI_", "LANGCHAIN_", "LANGSMITH_")

pytestmark = [
    pytest.mark.clients,
    pytest.mark.engine,
    pytest.mark.skipif(os.environ.get("RIVERRUN_SKIP_CLIENTS") == "1", reason="RIVERRUN_SKIP_CLIENTS=1"),
]


class Line(TypedDict):
    """One line that a program prints."""

    scenario: str
    ok: bool
    detail: str


@dataclass
class Session:
    """One run of one client's program."""

    lines: dict[str, Line] = field(default_factory=dict)
    errors: str = ""
    exit_code: int | None = None
    busy_after_cancel: int | None = None


Sessions = Callable[[str], Session]


@pytest.fixture(scope="module")
def sessions(server_url: str) -> Sessions:
    """The sessions by client; a program runs when its first scenario is asked for."""
    known: dict[str, Session] = {}

    def session(client: str) -> Session:
        if client not in known:
            known[client] = run(environments.command(client), server_url)
        return known[client]

    return session


def run(command: list[str], server_url: str) -> Session:
    """Run a program to its end, and look at the engine when its stream is cancelled and the program still alive."""
    session = Session()
    arguments = [*command, server_url, "smollm2-135m"]
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment()
        ) as program:
            alarm = threading.Timer(PROGRAM_LIMIT, program.kill)
            alarm.start()
            try:
                listen(program, session, server_url)
            finally:
                alarm.cancel()
        errors.seek(0)
        session.errors = errors.read()
    session.exit_code = program.returncode
    return session


def listen(program: subprocess.Popen[str], session: Session, server_url: str) -> None:
    assert program.stdout
    assert program.stdin
    for text in program.stdout:
        line = cast(Line, json.loads(text))
        session.lines[line["scenario"]] = line
        if line["scenario"] == "cancel":
            session.busy_after_cancel = wait_until_idle(server_url.removesuffix("/v1"))
            program.stdin.close()


def environment() -> dict[str, str]:
    """Ours, without settings that would send a client elsewhere, and with what the Python programs share."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN_SETTINGS)}
    return kept | {"PYTHONPATH": str(environments.HERE), "NO_PROXY": "127.0.0.1,localhost"}


def wait_until_idle(root: str) -> int:
    """How many slots are still busy: 0 as soon as it is so, else the count after IDLE_LIMIT."""
    give_up = time.monotonic() + IDLE_LIMIT
    while (busy := busy_slots(root)) and time.monotonic() < give_up:
        time.sleep(0.05)
    return busy


def busy_slots(root: str) -> int:
    """The engine's busy slots, as `GET /health` tells them."""
    with urllib.request.urlopen(f"{root}/health", timeout=5) as answer:
        models = json.load(answer)["engine"]["models"]
    return sum(int(model["busy"]) for model in (models.values() if isinstance(models, dict) else models))


@pytest.mark.parametrize(
    ("client", "scenario"), [(client, scenario) for client, names in SCENARIOS.items() for scenario in names]
)
def test_scenario(sessions: Sessions, client: str, scenario: str) -> None:
    session = sessions(client)
    assert scenario in session.lines, f"no report; exit code {session.exit_code}; it said:\n{session.errors}"
    line = session.lines[scenario]
    assert line["ok"], f"{line['detail']}\nThe program's errors:\n{session.errors}"


@pytest.mark.parametrize("client", SCENARIOS)
def test_cancelled_stream_frees_its_slot(sessions: Sessions, client: str) -> None:
    session = sessions(client)
    assert session.busy_after_cancel == 0, f"still busy after {IDLE_LIMIT} s; it said:\n{session.errors}"


@pytest.mark.parametrize("client", SCENARIOS)
def test_program_ends_well(sessions: Sessions, client: str) -> None:
    """It reports exactly the scenarios that are tested here, and its exit code agrees with them."""
    session = sessions(client)
    assert set(session.lines) == set(SCENARIOS[client])
    assert session.exit_code == (0 if all(line["ok"] for line in session.lines.values()) else 1)
