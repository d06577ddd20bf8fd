"""docs/faults.md: every row is on it, nothing on it is false, and a part of it can be written anew."""

from __future__ import annotations

from pathlib import Path

from tests.faults.document import PAGE, main
from tests.faults.figures import COLUMNS
from tests.faults.named import FAULTS
from tests.faults.page import PLAYED, Section, read, written
from tests.faults.rows import every

MUST_NOT_BE = ("false successes", "bytes lost or doubled", "lost without a word", "other promises broken")


def published() -> dict[tuple[str, str], dict[str, str]]:
    lines = [
        (fault, line) for fault, section in read(PAGE.read_text("utf-8")).items() for line in section.lines.values()
    ]
    cells = [(fault, [cell.strip() for cell in line.strip("|").split("|")]) for fault, line in lines]
    return {(fault, each[0]): dict(zip(COLUMNS, each, strict=True)) for fault, each in cells}


def test_every_row_is_on_the_page_in_full_and_no_other() -> None:
    page = published()
    assert set(page) == {(row.fault, row.what) for row in every()}
    assert {key: int(cells["tried"]) for key, cells in page.items()} == {
        (row.fault, row.what): row.tries for row in every()
    }


def test_nothing_false_is_on_the_page() -> None:
    may_lose = {(row.fault, row.what) for row in every() if row.may_lose}
    for key, cells in published().items():
        assert {cells[name] for name in MUST_NOT_BE} == {"0"}, cells
        assert int(cells["tried"]) == int(cells["whole"]) + int(cells["told an error"])
        assert key in may_lose or cells["whole"] == cells["tried"], cells


def test_the_page_is_what_its_own_sections_give() -> None:
    text = PAGE.read_text("utf-8")
    assert written(read(text), every()) == text


def test_every_fault_on_it_is_explained() -> None:
    text = " ".join(PAGE.read_text("utf-8").split())
    for fault in {row.fault for row in every()}:
        about = FAULTS[fault]
        assert f"## {fault}: {about.name} {about.done} Passes when {about.passes}." in text


def test_one_fault_is_played_and_the_others_stay(tmp_path: Path) -> None:
    page = tmp_path / "faults.md"
    page.write_text(written({"X7": Section({"reset": "| reset | 1 |"}, f"{PLAYED}a day.")}, []), "utf-8")
    assert main(["X9", "--page", str(page)]) == 0
    sections = read(page.read_text("utf-8"))
    assert set(sections) == {"X7", "X9"}
    assert sections["X7"].played == f"{PLAYED}a day."
    assert set(sections["X9"].lines) == {row.what for row in every() if row.fault == "X9"}


def test_with_a_number_nothing_is_written(tmp_path: Path) -> None:
    page = tmp_path / "faults.md"
    assert main(["X9", "2", "--page", str(page)]) == 0
    assert not page.exists()
