"""`riverrun check` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from riverrun.cli.check import check
from tests.conformance import streams
from tests.conformance.test_pytest_plugin import running


def typed(*arguments: str) -> Result:
    """The result of one command. The exit code is what the verb returns, as the whole command line does it."""
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.callback()
    def root() -> None:
        """The command line."""

    @app.command("check")
    def verb() -> None:
        """Never called."""

    app.registered_commands.clear()
    app.command("check")(check)
    result = CliRunner().invoke(app, ["check", *arguments], standalone_mode=False)
    return result


def test_a_stream_from_a_file_is_judged(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"
    good.write_bytes(streams.rendered(streams.text()))
    bad.write_bytes(b"\xef\xbb\xbf" + good.read_bytes())
    passed, failed = typed("--file", str(good)), typed("--file", str(bad))
    assert (passed.return_value, failed.return_value) == (0, 1)
    assert "PASS: " in passed.stdout
    assert "F8 must No byte order mark." in failed.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give an endpoint's URL"),
        (("http://x/v1",), "--model NAME"),
        (("http://x/v1", "--model", "m", "--file", "x"), "not both"),
        (("http://x/v1", "--model", "m", "--only", "Z9"), "Z9"),
        (("http://x/v1", "--model", "m", "--report", "html"), "html"),
    ],
)
def test_a_wrong_command_says_what_is_wrong(arguments: tuple[str, ...], said: str) -> None:
    result = typed(*arguments)
    assert type(result.exception).__name__ == "BadParameter"
    assert said in str(result.exception)


@pytest.mark.parametrize("arguments", [("http://127.0.0.1:1/v1", "--model", "m"), ("--file", "/no/such/file")])
def test_what_cannot_be_judged_is_exit_code_2(arguments: tuple[str, ...]) -> None:
    assert typed(*arguments).return_value == 2


def test_an_endpoint_is_checked_kept_and_judged_again(tmp_path: Path) -> None:
    folder = tmp_path / "captures"
    with running() as url:
        first = typed(url, "--model", "scripted", "--only", "F,B9,Q", "--report", "json", "--save", str(folder))
    again = typed("--file", str(folder), "--only", "F,B9,Q", "--report", "json")
    assert (first.return_value, again.return_value) == (0, 0)
    told = json.loads(first.stdout)
    assert told["verdict"] == "pass"
    assert told["findings"] == json.loads(again.stdout)["findings"]


def test_one_defect_of_an_endpoint_is_exit_code_1() -> None:
    with running("B9:0") as url:
        result = typed(url, "--model", "scripted", "--only", "B9")
    assert result.return_value == 1
    assert "the status is 422, not 404" in result.stdout
