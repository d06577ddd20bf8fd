"""docs/adding-a-provider.md does what it says: its row is a row, its dialect a dialect, and its tests pass."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from riverrun.dialects import rows

PAGE = (Path(__file__).parents[1] / "docs/adding-a-provider.md").read_text(encoding="utf-8")
TABLE = (Path(rows.__file__).parent / "upstreams.toml").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def run() -> dict[str, Any]:
    """Everything that the page's Python defines, run from the top with its row at the end of the table."""
    (row,) = (code for language, code in BLOCKS if language == "toml")
    names: dict[str, Any] = {"rows": rows.parse_rows(f"{TABLE}\n{row}")}
    for number, code in enumerate(code for language, code in BLOCKS if language == "python"):
        exec(compile(code, f"docs/adding-a-provider.md, Python {number}", "exec", dont_inherit=True), names)
    return names


NAMES = run()
TESTS = [name for name in NAMES if name.startswith("test_")]


def test_the_page_has_both_ways_and_tests() -> None:
    assert [language for language, _ in BLOCKS] == ["toml", "python", "python", "python"]
    assert len(TESTS) == 4


@pytest.mark.parametrize("name", TESTS)
def test_what_the_page_tests(name: str) -> None:
    NAMES[name]()


def test_the_dialect_of_the_page_says_what_it_can_not() -> None:
    parrot, ask, target = NAMES["parrot"], NAMES["ask"], NAMES["target"]
    out = parrot.encode(ask, target)
    assert (out.path, out.dropped) == ("/talk", ())
    assert out.body == b'{"model":"nim-1","said":[{"role":"user","content":"Hi"}],"most":9}'
    assert parrot.failure(429, {}, b"", ask, target).status == 429


@pytest.mark.parametrize("path", re.findall(r"`((?:src|tests)/[\w/.-]+)`", PAGE))
def test_the_files_that_the_page_names_are_there(path: str) -> None:
    assert (Path(__file__).parents[1] / path).exists()
