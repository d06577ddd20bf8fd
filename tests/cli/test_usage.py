"""`riverrun usage`: the ledger in a table, and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from riverrun.cli import app
from riverrun.cli.usage import beginning
from riverrun.failures import Failure
from riverrun.store.ledger import SqliteLedger
from tests.store.rows import AT, attempted, reserved, settled, whole


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delenv("RIVERRUN_API_KEY", raising=False)
    (tmp_path / "riverrun.toml").write_text('[store]\nurl = "sqlite:kept/l.sqlite"\n')


@pytest.fixture
def ledger(tmp_path: Path) -> SqliteLedger:
    return SqliteLedger(tmp_path / "kept" / "l.sqlite")


def said(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["usage", *arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0
    return done.stdout


def test_a_table_and_what_is_not_as_reported(ledger: SqliteLedger) -> None:
    whole(ledger, "a")
    whole(ledger, "b", tenant="[bold]odd[/bold]")
    ledger.reserve(reserved("c"))
    ledger.attempt(attempted("c"))
    ledger.settle(settled("c", source="estimated", tokens=(2000, 0)))
    ledger.attempt(attempted("c", 2))
    ledger.close()
    shown = said()
    (acme,) = [line.split() for line in shown.splitlines() if line.startswith("acme")]
    assert acme == ["acme", "fast", "2", "2", "2,010", "4", "5", "2", "99", "%"]
    assert "[bold]odd[/bold]" in shown
    assert "2,030 tokens: 1 % as the providers report them, 0 % counted here, 99 % estimated." in shown
    assert "1 more attempts have not ended" in shown


def test_by_target_since_a_day_and_as_json(ledger: SqliteLedger) -> None:
    whole(ledger, "a")
    ledger.reserve(reserved("late"))
    ledger.attempt(attempted("late", target="openai/x", at=AT + 86_400))
    ledger.settle(settled("late", at=AT + 86_400))
    ledger.close()
    found = json.loads(said("--by", "target", "--since", "2027-01-16", "--json"))
    assert [each["by"] for each in found["sums"]] == [{"tenant": "acme", "model": "fast", "target": "openai/x"}]
    assert found["open"] == 0
    days = json.loads(said("--by", "day", "--json"))["sums"]
    assert [each["by"]["day"] for each in days] == ["2027-01-15", "2027-01-16"]


def test_it_reads_while_a_server_writes(ledger: SqliteLedger) -> None:
    whole(ledger, "a")
    assert json.loads(said("--json"))["sums"][0]["requests"] == 1
    whole(ledger, "b")
    assert json.loads(said("--json"))["sums"][0]["requests"] == 2
    ledger.close()


def test_an_empty_ledger_is_a_table_without_rows(ledger: SqliteLedger) -> None:
    ledger.close()
    assert "0 tokens: 0 % as" in said()


def test_none_yet_and_none_at_all(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"nothing in the ledger kept/l\.sqlite yet"):
        said()
    for url in ("off", "sqlite::memory:"):
        (tmp_path / "riverrun.toml").write_text(f'[store]\nurl = "{url}"\n')
        with pytest.raises(Failure, match="no ledger to read"):
            said()


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (None, 0.0),
        ("2027-01-15", AT - 28_800),
        ("2027-01-15T08:00", AT),
        ("2027-01-15T09:00+01:00", AT),
        ("30m", 1e6 - 1800),
        ("2d", 1e6 - 172_800),
    ],
)
def test_since(written: str | None, seconds: float) -> None:
    assert beginning(written, 1e6) == seconds


@pytest.mark.parametrize("written", ["", "yesterday", "7", "-1d", "2027-13-01", "1.5h", "'; DROP TABLE settle; --"])
def test_what_is_no_beginning(written: str) -> None:
    with pytest.raises(Failure, match="is no date"):
        beginning(written, 1e6)
