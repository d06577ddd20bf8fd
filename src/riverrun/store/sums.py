"""What the ledger adds up to: requests, attempts and tokens by tenant, model, day or target. Only reads."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal

import msgspec

from riverrun.store.schema import UNSETTLED, read_only

Column = Literal["tenant", "model", "day", "target"]

COLUMNS: dict[Column, str] = {
    "tenant": "coalesce(ended.tenant, (SELECT tenant FROM request WHERE id = ended.id), '')",
    "model": "coalesce(ended.model, (SELECT model FROM request WHERE id = ended.id), '')",
    "day": "strftime('%Y-%m-%d', ended.at, 'unixepoch')",
    "target": "coalesce(ended.target, (SELECT target FROM call WHERE (id, number) = (ended.id, ended.number)), '')",
}
"""Days are UTC's. A row that was lost leaves its column empty."""

SUMS = """
SELECT {groups}, count(DISTINCT ended.id), count(*),
  sum(prompt_tokens), sum(completion_tokens), sum(cached_tokens), sum(reasoning_tokens),
  sum(CASE source WHEN 'provider' THEN prompt_tokens + completion_tokens ELSE 0 END),
  sum(CASE source WHEN 'counted' THEN prompt_tokens + completion_tokens ELSE 0 END),
  sum(CASE source WHEN 'estimated' THEN prompt_tokens + completion_tokens ELSE 0 END)
FROM ended
WHERE ended.at >= ?
GROUP BY {groups} ORDER BY {groups}
"""

OPEN = f"""
SELECT count(*) FROM open CROSS JOIN attempt USING (id, number) WHERE attempt.at >= ?
AND {UNSETTLED}
"""


class Sum(msgspec.Struct, frozen=True):
    """One group. `by` has its columns' values; `provider`, `counted` and `estimated` are all its tokens by source."""

    by: dict[Column, str]
    requests: int
    attempts: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    provider: int
    counted: int
    estimated: int


class Usage(msgspec.Struct, frozen=True):
    """`open`: attempts that run still, or whose process died before it could settle them."""

    sums: tuple[Sum, ...]
    open: int


def usage(path: Path, columns: Sequence[Column], since: float = 0.0) -> Usage:
    """What was settled since then (Unix seconds). Raises Failure for a file that is no ledger."""
    groups = ", ".join(COLUMNS[column] for column in columns)  # our own words: SQL has no parameters for columns
    width = len(columns)
    with closing(read_only(path)) as db:
        rows = db.execute(SUMS.format(groups=groups), (since,)).fetchall()
        waiting: sqlite3.Cursor = db.execute(OPEN, (since,))
        return Usage(
            tuple(Sum(dict(zip(columns, row[:width], strict=True)), *row[width:]) for row in rows),
            int(waiting.fetchone()[0]),
        )
