"""The ledger: what is on disk when, what a broken file costs, and that no row is lost or written twice."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riverrun.config import StoreConfig
from riverrun.store.contract import Attempted, NoLedger, Reserved, Settled
from riverrun.store.ledger import GROUP, LONGEST_NAME, LOST, LOST_AFTER, SqliteLedger, ledger
from riverrun.store.schema import MEMORY
from riverrun.store.sums import usage
from tests import virtual
from tests.store.rows import AT, attempted, count, reserved, settled, stored, whole

HOSTILE = [
    "'; DROP TABLE settle; --",
    '"; DROP TABLE settle; --',
    "a' OR '1'='1",
    "x'); INSERT INTO settle VALUES ('evil', 1, 'finished', 0, 0, 0, 0, 'provider', 0, NULL); --",
    "'||(SELECT riverrun FROM ledger_version)||'",
    "1; PRAGMA writable_schema = 1; --",
    "' UNION SELECT * FROM reserve --",
    "'; SELECT pg_sleep(10); --",
    "%' ESCAPE '\\",
    "?1 :name @name $name",
    "nul\x00byte",
    "line\nbreak\r\n",
    "\u202eright-to-left\ufeff",
    "{}".format("x" * LONGEST_NAME),
    "",
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "ledger.sqlite"


def test_a_request_is_three_rows(file: Path) -> None:
    kept = SqliteLedger(file)
    whole(kept, "a")
    kept.close()
    assert stored(file, "reserve") == [("a", "acme", "fast", AT)]
    assert stored(file, "attempt") == [("a", 1, "gpu1/q", AT)]
    assert stored(file, "settle") == [("a", 1, "finished", 10, 5, 2, 1, "provider", AT, None)]


def test_rows_wait_for_each_other_and_the_first_ending_waits_for_nobody(file: Path) -> None:
    async def main() -> None:
        kept = SqliteLedger(file)
        kept.reserve(reserved("a"))
        kept.attempt(attempted("a"))
        assert (kept.waiting, count(file, "attempt")) == (2, 0)
        await asyncio.sleep(GROUP + 0.001)
        assert (kept.waiting, count(file, "attempt")) == (0, 1)
        await asyncio.sleep(GROUP)
        kept.reserve(reserved("b"))
        kept.settle(settled("a"))
        assert (kept.waiting, count(file, "reserve"), count(file, "settle")) == (0, 2, 1)
        kept.close()

    virtual.run(main())


def test_endings_in_quick_succession_share_a_transaction(file: Path) -> None:
    """A thousand a second: each is on disk in 50 ms, whatever comes meanwhile, and what waits at the end is written."""

    async def main() -> list[int]:
        kept = SqliteLedger(file)
        transactions: list[int] = []
        assert kept._db is not None
        kept._db.set_trace_callback(lambda said: transactions.append(1) if said == "COMMIT" else None)
        for number in range(1000):
            whole(kept, f"c{number}")
            await asyncio.sleep(0.001)
            assert kept.waiting <= 3 * 50
        kept.close()
        return transactions

    assert 18 <= len(virtual.run(main())) <= 22
    assert [count(file, table) for table in ("reserve", "attempt", "settle")] == [1000, 1000, 1000]


def test_what_is_together_in_a_transaction_is_one_row(file: Path) -> None:
    """And a second call of the same request, or an ending whose call was written before, is found as well."""

    async def main() -> None:
        kept = SqliteLedger(file)
        kept.attempt(attempted("early"))
        await asyncio.sleep(GROUP + 0.001)
        kept.reserve(reserved("a"))
        for number in (1, 2):
            kept.attempt(attempted("a", number))
            kept.settle(settled("a", number))
        kept.attempt(attempted("late"))
        kept.settle(settled("early"))
        await asyncio.sleep(GROUP)
        assert (kept.waiting, kept.open_attempts("early")) == (0, [])
        assert kept.open_attempts("late") == [attempted("late")]
        kept.close()

    virtual.run(main())
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("SELECT id FROM reserve").fetchall() == []
        assert db.execute("SELECT id FROM attempt").fetchall() == [("early",), ("late",)]
        assert db.execute("SELECT id FROM open").fetchall() == [("late",)]
    assert stored(file, "reserve") == [("a", "acme", "fast", AT)]
    assert sorted(stored(file, "attempt")) == [
        ("a", 1, "gpu1/q", AT),
        ("a", 2, "gpu1/q", AT),
        ("early", 1, "gpu1/q", AT),
        ("late", 1, "gpu1/q", AT),
    ]
    tenants = {each.by["tenant"]: (each.requests, each.attempts) for each in usage(file, ["tenant", "target"]).sums}
    assert tenants == {"acme": (1, 2), "": (1, 1)}


def test_who_looks_for_lost_attempts_looks_at_the_open_ones_only(file: Path) -> None:
    kept = SqliteLedger(file)
    assert kept._db is not None
    plan = " ".join(row[3] for row in kept._db.execute(f"EXPLAIN QUERY PLAN {LOST}", (0.0, 0.0)))
    assert "SCAN open" in plan
    assert "SCAN attempt" not in plan
    assert "SCAN settle" not in plan
    assert "SCAN whole" not in plan
    kept.close()


def test_one_settled_row_for_each_attempt(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = SqliteLedger(file)
    whole(kept, "a")
    kept.settle(settled("a", tokens=(999, 999)))
    kept.settle(settled("a", 2))
    kept.close()
    assert [(row[1], row[3]) for row in stored(file, "settle")] == [(1, 10), (2, 10)]
    assert "settled a 1 is in the ledger already" in caplog.text


def test_nothing_that_is_written_changes(file: Path) -> None:
    kept = SqliteLedger(file)
    whole(kept, "a")
    kept.close()
    with closing(sqlite3.connect(file)) as db:
        whole_row = "id, 2, ending, 1, 1, 0, 0, source, at, NULL, 't', 'm', at, 'x', at"
        db.execute(f"INSERT INTO whole SELECT {whole_row} FROM settle")
        for table, column in (("reserve", "tenant"), ("attempt", "target"), ("settle", "source"), ("whole", "source")):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                db.execute(f"UPDATE {table} SET {column} = 'x'")


def test_open_attempts_are_those_without_an_ending(file: Path) -> None:
    kept = SqliteLedger(file)
    whole(kept, "other")
    kept.reserve(reserved("a"))
    for number in (1, 2, 3):
        kept.attempt(attempted("a", number))
    kept.settle(settled("a", 2))
    assert kept.open_attempts("a") == [attempted("a", 1), attempted("a", 3)]
    assert kept.open_attempts("other") == []
    kept.close()


def test_what_nobody_will_settle_is_settled_after_a_day(file: Path) -> None:
    kept = SqliteLedger(file)
    for number in (1, 2):
        kept.attempt(attempted("a", number))
    kept.settle(settled("a", 2))
    kept.settle_lost(AT + LOST_AFTER - 1.0)
    assert kept.open_attempts("a") == [attempted("a", 1)]
    kept.settle_lost(AT + LOST_AFTER + 1.0)
    kept.settle_lost(AT + LOST_AFTER + 2.0)
    assert kept.open_attempts("a") == []
    kept.close()
    assert [(row[1], row[2], row[7]) for row in stored(file, "settle")] == [
        (2, "finished", "provider"),
        (1, "owner_died", "estimated"),
    ]


@pytest.mark.parametrize("text", HOSTILE)
def test_names_are_values_and_never_sql(file: Path, text: str) -> None:
    kept = SqliteLedger(file)
    kept.reserve(reserved(text, text, text))
    kept.attempt(attempted(text, target=text))
    kept.settle(msgspec.structs.replace(settled(text), client_request_id=text))
    assert kept.open_attempts(text) == []
    kept.close()
    assert stored(file, "reserve") == [(text, text, text, AT)]
    assert stored(file, "attempt") == [(text, 1, text, AT)]
    assert stored(file, "settle")[0][-1] == text
    assert kept.dropped == 0


def test_a_name_that_a_client_made_up_is_cut(file: Path) -> None:
    kept = SqliteLedger(file)
    kept.reserve(reserved("a", model="m" * 1_000_000))
    kept.close()
    assert stored(file, "reserve")[0][2] == "m" * LONGEST_NAME


@pytest.mark.parametrize(
    "unfit",
    [
        Settled("bad", 1, "finished", -1, 0, 0, 0, "provider", AT),
        Settled("bad", 1, "finished", 0, 1 << 70, 0, 0, "provider", AT),
        Settled("bad", 1, "finished", 0, 0, 0, 0, "guessed", AT),  # type: ignore[arg-type]  # what must not get in
        Settled("bad", 1, "finished", 0, 0, 0, 0, "provider", AT, "\ud800"),
    ],
)
def test_a_row_that_fits_no_ledger_keeps_no_other_back(file: Path, unfit: Settled) -> None:
    async def main() -> None:
        kept = SqliteLedger(file)
        kept.reserve(reserved("a"))
        kept.settle(unfit)
        kept.settle(settled("a"))
        await asyncio.sleep(GROUP)
        assert (kept.waiting, kept.dropped) == (0, 1)
        kept.close()

    virtual.run(main())
    assert [row[0] for row in stored(file, "settle")] == ["a"]


def test_a_lock_of_another_process_is_waited_out(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        kept = SqliteLedger(file)
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            whole(kept, "a")
            await asyncio.sleep(0.2)
            assert (kept.waiting, kept.open_attempts("a")) == (3, [])
            kept.attempt(attempted("b"))
            assert kept.open_attempts("b") == [attempted("b")]
            assert "can't be written" not in caplog.text
            await asyncio.sleep(5)
            assert caplog.text.count("can't be written") == 1
            other.execute("ROLLBACK")
        await asyncio.sleep(1)
        assert (kept.waiting, kept.dropped) == (0, 0)
        kept.close()

    with caplog.at_level(logging.WARNING, "riverrun.store"):
        virtual.run(main())
    assert count(file, "settle") == 1
    assert "can be written again; 4 rows" in caplog.text


def test_a_full_disk_stops_no_run_and_costs_no_row(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """SQLite's own limit of pages gives the same error as a disk without room."""

    async def main() -> None:
        kept = SqliteLedger(file)
        assert kept._db is not None
        (pages,) = kept._db.execute("PRAGMA page_count").fetchone()
        kept._db.execute(f"PRAGMA max_page_count = {pages}")
        for number in range(500):
            whole(kept, f"c{number}")
        assert kept.waiting > 1000
        await asyncio.sleep(5)
        assert (kept.waiting, kept.dropped) == (0, 0)
        kept.close()

    virtual.run(main())
    assert [count(file, table) for table in ("reserve", "attempt", "settle")] == [500, 500, 500]
    assert caplog.text.count("can't be written") == 1
    assert "database or disk is full" in caplog.text


def test_a_file_that_breaks_meanwhile_is_left_behind_when_it_is_moved_away(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        kept = SqliteLedger(file)
        whole(kept, "a")
        assert kept._db is not None
        kept._db.close()  # so that nothing of it is in a cache
        kept._db = None
        file.write_bytes(b"This is no database at all. " * 1000)
        whole(kept, "b")
        await asyncio.sleep(3)
        assert (kept.waiting, kept.dropped) == (3, 0)
        file.rename(file.with_suffix(".broken"))
        await asyncio.sleep(3)
        assert (kept.waiting, kept.dropped) == (0, 0)
        kept.close()

    virtual.run(main())
    assert [row[0] for row in stored(file, "settle")] == ["b"]
    assert caplog.text.count("can't be written") == 1


def test_memory_has_its_bound_and_what_is_beyond_is_counted(file: Path) -> None:
    async def main() -> None:
        kept = SqliteLedger(file, most=5)
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for number in range(4):
                whole(kept, f"c{number}")
            assert (kept.waiting, kept.dropped) == (5, 7)
            kept.close()
            assert (kept.waiting, kept.dropped) == (0, 12)

    virtual.run(main())


def test_in_memory_and_none_at_all() -> None:
    kept = ledger(StoreConfig(f"sqlite:{MEMORY}"))
    whole(kept, "a")
    kept.attempt(attempted("a", 2))
    assert kept.open_attempts("a") == [attempted("a", 2)]
    kept.close()
    none = ledger(StoreConfig("off"))
    assert isinstance(none, NoLedger)
    whole(none, "a")
    assert none.open_attempts("a") == []


Rows = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 3), st.sampled_from(["attempt", "settle"])))


@given(Rows)
@settings(max_examples=60, deadline=None)
def test_whatever_comes_one_settled_row_and_open_is_what_has_none(rows: list[tuple[str, int, str]]) -> None:
    kept = SqliteLedger(Path(MEMORY))
    for id, number, kind in rows:
        if kind == "attempt":
            kept.attempt(attempted(id, number))
        else:
            kept.settle(settled(id, number))
    tried = {(id, number) for id, number, kind in rows if kind == "attempt"}
    ended = {(id, number) for id, number, kind in rows if kind == "settle"}
    assert kept._db is not None
    assert sorted(kept._db.execute("SELECT id, number FROM ended")) == sorted(ended)
    found = {(each.id, each.number) for id in "abc" for each in kept.open_attempts(id)}
    assert found == tried - ended
    kept.close()


def test_a_canary_key_has_no_place_in_a_row() -> None:
    """No row has a field that could hold a key, a prompt or an address (SEC5, SEC7)."""
    assert {name for kind in (Reserved, Attempted, Settled) for name in kind.__struct_fields__} == {
        *("id", "tenant", "model", "at", "number", "target", "ending", "source", "client_request_id"),
        *("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens"),
    }
