"""The page that a person sees first."""

import html
import shlex
import subprocess
import urllib.request

import pytest

from riverrun.server.page import _row, curl_line
from riverrun.server.status import Standing, TargetStanding
from tests.servers import Served


def test_the_command_survives_a_shell() -> None:
    words = shlex.split(curl_line("http://127.0.0.1:8000/v1", "it's", key=False))
    assert words[:3] == ["curl", "-N", "http://127.0.0.1:8000/v1/chat/completions"]
    assert '"model": "it\'s"' in words[-1]
    assert "$RIVERRUN_API_KEY" in curl_line("http://x/v1", "m", key=True)


def test_names_are_text_and_no_markup() -> None:
    row = _row(Standing("<b>", None, [TargetStanding("<script>", 0, "closed"), TargetStanding("b", 1, "open")]))
    assert "<b>" not in row
    assert "<script>" not in row
    assert row.count('class="ready"') == 1
    assert row.count('class="other"') == 1


def test_a_fallback_says_after_what_it_is_asked() -> None:
    row = _row(Standing("m", None, [TargetStanding("b/q", 0, "closed", "upstream_busy")]))
    assert "b/q (after upstream_busy) closed" in row


@pytest.mark.engine
def test_the_page_says_what_runs_and_its_command_works(server: Served) -> None:
    with urllib.request.urlopen(server.root + "/") as answer:
        page = answer.read().decode()
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "smollm2-135m" in page
    assert server.url in page
    command = html.unescape(page.partition("<pre><code>")[2].partition("</code>")[0])
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120, check=True)
    assert "data: [DONE]" in done.stdout
