"""docs/clients.md: what it shows is run, against riverrun, over a network that cuts every answer."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.site import CHROMIUM, site, visiting
from tests.client.network import Background, Cut, Relay, relaying
from tests.client.real import Speaker, riverrun_before
from tests.clients import environments

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
ADDRESS = "http://127.0.0.1:8000/v1"
PROGRAM_LIMIT = 60.0
WORDS = [f"Wort {number} 🌊 " for number in range(20)]
TEXT = "".join(WORDS)
REPORTING = """<script type="module">
  const look = () => answer.textContent.includes("%s") &&
    fetch("/report", { method: "POST", body: JSON.stringify({ text: answer.textContent }) });
  new MutationObserver(look).observe(answer, { childList: true });
</script>"""


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


@pytest.fixture(scope="module")
def port(loop_thread: Background, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with riverrun_before(Speaker(WORDS), loop_thread, tmp_path_factory.mktemp("docs")) as served:
        yield served.port


@pytest.fixture
def relay(loop_thread: Background, port: int) -> Iterator[Relay]:
    with loop_thread.entered(relaying(port)) as relay:
        relay.cuts += [Cut(700, "reset"), Cut(0), Cut(1200)]
        yield relay


def run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=PROGRAM_LIMIT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_openai_python(relay: Relay) -> None:
    (code,) = blocks("python")
    assert run([sys.executable, "-c", code.replace(ADDRESS, relay.base_url)]) == TEXT
    assert not relay.cuts


@pytest.mark.clients
@pytest.mark.skipif(os.environ.get("RIVERRUN_SKIP_CLIENTS") == "1", reason="RIVERRUN_SKIP_CLIENTS=1")
def test_openai_node(relay: Relay) -> None:
    (code,) = blocks("js")
    node, program = environments.command("openai-node")
    folder = Path(program).parent
    shutil.copy(ROOT / "clients" / "riverrun.mjs", folder)
    (folder / "docs.mjs").write_text(code.replace(ADDRESS, relay.base_url), encoding="utf-8")
    assert run([node, str(folder / "docs.mjs")]) == TEXT
    assert not relay.cuts


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH (on Debian: apt-get install chromium)")
@pytest.mark.parametrize("number", range(len(blocks("html"))))
def test_browser(number: int, port: int, loop_thread: Background, tmp_path: Path) -> None:
    page = "<!doctype html>" + blocks("html")[number] + REPORTING % WORDS[-1]
    with loop_thread.entered(site(port, {"/example.html": page.encode()})) as place:
        place.cuts += [Cut(1200, "reset"), Cut(1300, "reset")]
        with visiting(f"http://127.0.0.1:{place.port}/example.html", tmp_path):
            assert loop_thread.run(place.report()) == {"text": TEXT}
        assert not place.cuts


def test_the_table_is_about_what_is_there() -> None:
    assert (ROOT / "clients" / "riverrun.mjs").exists()
    assert len(BLOCKS) == 4
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists()
