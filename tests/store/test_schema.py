"""The ledger's file: who may read it, which files are refused and in which words."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from riverrun.config import StoreConfig
from riverrun.failures import Failure
from riverrun.store.schema import FIRST, connected, place, read_only
from riverrun.store.sums import usage

OPENINGS: list[Callable[[Path], sqlite3.Connection]] = [lambda file: connected(file, "1.0"), read_only]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "data" / "riverrun" / "ledger.sqlite"
    with closing(connected(file, "1.0")) as db:
        db.execute("INSERT INTO reserve VALUES ('a', 't', 'm', 1.0)")
        assert mode(file.parent) == 0o700
        assert {mode(each) for each in file.parent.iterdir()} == {0o600}
        assert len(list(file.parent.iterdir())) == 3  # with its log and its index of the log


def test_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    usual = place(StoreConfig())
    assert usual is not None
    assert usual.parts[-2:] == ("riverrun", "ledger.sqlite")
    assert usual.is_relative_to(tmp_path)
    assert place(StoreConfig("sqlite:~/x.db")) == tmp_path / "x.db"
    assert place(StoreConfig("off")) is None


def test_it_is_opened_again(tmp_path: Path) -> None:
    file = tmp_path / "l.sqlite"
    connected(file, "1.0").close()
    with closing(connected(file, "1.1")) as db:
        assert db.execute("SELECT * FROM ledger_version").fetchall() == [(2, "1.0")]
    with closing(read_only(file)) as db, pytest.raises(sqlite3.OperationalError, match="readonly"):
        db.execute("DELETE FROM settle")


def test_an_older_one_gets_what_it_lacks(tmp_path: Path) -> None:
    """Its rows stay, and those of its attempts that nobody settled are the open ones."""
    file = tmp_path / "l.sqlite"
    with closing(sqlite3.connect(file)) as db:
        db.executescript(FIRST)
        db.execute("INSERT INTO ledger_version VALUES (1, '0.1')")
        db.executemany("INSERT INTO reserve VALUES (?, 't', 'm', 1.0)", [("a",), ("b",)])
        db.executemany("INSERT INTO attempt VALUES (?, 1, 'x', 1.0)", [("a",), ("b",)])
        db.execute("INSERT INTO settle VALUES ('a', 1, 'finished', 1, 2, 0, 0, 'provider', 2.0, NULL)")
        db.commit()
    with pytest.raises(
        Failure, match=r"is of version 1; `riverrun serve` makes it one of 2 when it starts\. Start it once"
    ):
        read_only(file)
    with closing(connected(file, "1.0")) as db:
        assert db.execute("SELECT * FROM ledger_version").fetchall() == [(2, "1.0")]
        assert db.execute("SELECT * FROM open").fetchall() == [("b", 1)]
        db.execute("INSERT INTO settle VALUES ('b', 1, 'finished', 1, 2, 0, 0, 'provider', 2.0, NULL)")
        assert db.execute("SELECT * FROM open").fetchall() == []
    found = usage(file, ["tenant", "model", "target"])
    assert [(each.by, each.requests, each.completion_tokens) for each in found.sums] == [
        ({"tenant": "t", "model": "m", "target": "x"}, 2, 4)
    ]
    assert found.open == 0


def test_an_older_server_that_still_has_it_open_goes_on_writing(tmp_path: Path) -> None:
    """By place, as that one does; and what one of them settled, the other does not settle again."""
    file = tmp_path / "l.sqlite"
    ended = "'finished', 1, 2, 0, 0, 'provider', 2.0, NULL"
    settle = "INSERT INTO settle VALUES (?, 1, " + ended + ") ON CONFLICT DO NOTHING"
    whole = "INSERT INTO whole VALUES (?, 1, " + ended + ", 't', 'm', 1.0, 'x', 1.0) ON CONFLICT DO NOTHING"
    with closing(sqlite3.connect(file, isolation_level=None)) as older:
        older.executescript(FIRST)
        older.execute("INSERT INTO ledger_version VALUES (1, '0.1')")
        older.execute("INSERT INTO reserve VALUES ('a', 't', 'm', 1.0)")
        with closing(connected(file, "1.0")) as newer:
            older.execute("INSERT INTO attempt VALUES ('a', 1, 'x', 1.0)")
            assert older.execute(settle, ("a",)).rowcount == 1
            assert newer.execute("SELECT * FROM open").fetchall() == []
            assert newer.execute(whole, ("a",)).rowcount == 0
            assert newer.execute(whole, ("b",)).rowcount == 1
            assert older.execute(settle, ("b",)).rowcount == 0
    (found,) = usage(file, ["tenant", "model", "target"]).sums
    assert (found.by, found.requests, found.attempts) == ({"tenant": "t", "model": "m", "target": "x"}, 2, 2)


def test_a_newer_one_is_refused_by_name_and_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "l.sqlite"
    with closing(connected(file, "9.7.3")) as db:
        db.execute("UPDATE ledger_version SET version = 3")
    before = file.read_bytes()
    for opening in OPENINGS:
        with pytest.raises(Failure, match=r"l\.sqlite was made by a newer riverrun, 9\.7\.3 .*version 3.*knows 2"):
            opening(file)
    assert file.read_bytes() == before


@pytest.mark.parametrize("content", [b"This is no database at all. " * 100, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "notes.txt"
    file.write_bytes(content)
    for opening in OPENINGS:
        with pytest.raises(Failure, match=r"notes\.txt can't be used by SQLite: .*\[store\]") as caught:
            opening(file)
        assert "\n" not in caught.value.message
    assert file.read_bytes() == content


def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    with closing(sqlite3.connect(file)) as db:
        db.execute("CREATE TABLE mine (x)")
    before = file.read_bytes()
    with pytest.raises(Failure, match="is a database of something else"):
        connected(file, "1.0")
    assert file.read_bytes() == before


def test_a_place_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "l.sqlite", tmp_path):
        with pytest.raises(Failure, match=r"The ledger .* can't be"):
            connected(path, "1.0")


def test_reading_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"nothing in the ledger .*none\.sqlite"):
        read_only(tmp_path / "none.sqlite")
    (tmp_path / "empty.sqlite").touch()
    with pytest.raises(Failure, match=r"nothing in the ledger .*empty\.sqlite"):
        read_only(tmp_path / "empty.sqlite")
