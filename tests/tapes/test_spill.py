"""The file of what was spilled: what is written is read again, what is given back is used again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.tapes.spill import Range, Spill


@given(st.lists(st.one_of(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.integers(0, 9)), max_size=40))
def test_what_is_in_it_stays_and_what_is_given_back_goes(steps: list[list[int] | int]) -> None:
    """Sizes are written, a number gives the range at this place back."""
    file = Spill()
    kept: list[tuple[Range, bytes]] = []
    most = 0
    for number, step in enumerate(steps):
        if isinstance(step, list):
            pieces = [bytes([number]) * size for size in step]
            kept += zip(file.write(pieces), pieces, strict=True)
        elif kept:
            file.release([kept.pop(step % len(kept))[0]])
        assert [file.read(range) for range, _ in kept] == [piece for _, piece in kept]
        most = max([most, *(range.end for range, _ in kept)])
    file.release([range for range, _ in kept])
    assert file.write([b"x"]) == [Range(0, 1)]
    file.release([Range(0, 1)])


def test_a_hole_is_filled_before_the_file_grows_and_its_end_is_cut_off(tmp_path: Path) -> None:
    file = Spill(str(tmp_path))
    first, second, third = file.write([b"a" * 100, b"b" * 100, b"c" * 100])
    file.release([first])
    assert file.write([b"d" * 60]) == [Range(0, 60)]
    file.release([second, third])
    assert size_of(tmp_path) == [60]
    file.release([Range(0, 60)])
    assert size_of(tmp_path) == []


def test_where_it_cannot_be_written_nothing_has_changed(tmp_path: Path) -> None:
    file = Spill(str(tmp_path / "missing"))
    with pytest.raises(FileNotFoundError):
        file.write([b"a", b"b"])
    (tmp_path / "missing").mkdir()
    assert file.write([b"a", b"b"]) == [Range(0, 1), Range(1, 2)]
    file.release([Range(0, 2)])


def size_of(folder: Path) -> list[int]:
    """The bytes of each file without a name that is open in the folder."""
    sizes = []
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
            size = os.fstat(int(name)).st_size
        except OSError:
            continue  # the listing's own
        if target.startswith(str(folder)):
            sizes.append(size)
    return sizes
