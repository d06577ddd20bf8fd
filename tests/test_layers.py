"""The one direction of imports: a room knows only the rooms to its left (docs/architecture.md)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "riverrun"

RANKS = [
    ["failures"],
    ["config"],
    ["wire"],
    ["stream"],
    ["routing"],
    ["dialects"],
    ["backends", "tapes", "store"],
    ["engine"],
    ["runs"],
    ["server"],
    ["cli"],
]
LEFT_OF = {room: {left for rank in RANKS[:place] for left in rank} for place, rank in enumerate(RANKS) for room in rank}
LEFT_OF["conformance"] = {"failures", "wire"}
LEFT_OF["clients"] = {"failures", "wire"}
LEFT_OF["cli"].add("conformance")

PURE = {"failures", "config", "wire", "stream", "routing", "dialects"}
IMPURE_MODULES = {"asyncio", "socket", "time", "random", "os", "threading", "subprocess", "ssl", "secrets", "tempfile"}
THREADS = {"threading", "concurrent", "multiprocessing"}
OWN_PROCESS = {"engine/child.py"}
"""Has no loop: its main thread is the engine's, so that another one must watch whether the parent lives."""


def modules() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if path.parent != SOURCE or path.stem in LEFT_OF)


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """Dotted names of everything the module imports, wherever the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} uses a relative import"
            assert node.module is not None
            if node.module == "random" and [name.name for name in node.names] == ["Random"]:
                continue  # a type: randomness that is passed in
            if node.module == "riverrun":
                yield from (f"riverrun.{name.name}" for name in node.names)
            else:
                yield node.module


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_room_imports_only_the_rooms_to_its_left(path: Path) -> None:
    here = room(path)
    for name in imported(path):
        if name.startswith("riverrun.") and name != "riverrun.__version__":
            there = name.split(".")[1]
            assert there == here or there in LEFT_OF[here], f"{here} must not import {there} ({name})"


@pytest.mark.parametrize("path", [path for path in modules() if room(path) in PURE], ids=lambda path: path.stem)
def test_the_middle_is_pure(path: Path) -> None:
    tops = {name.split(".")[0] for name in imported(path)}
    assert not tops & IMPURE_MODULES


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_nothing_starts_threads(path: Path) -> None:
    if str(path.relative_to(SOURCE)) in OWN_PROCESS:
        return
    tops = {name.split(".")[0] for name in imported(path)}
    assert not tops & THREADS


def test_every_room_has_its_place() -> None:
    rooms = {room(path) for path in modules()}
    assert rooms <= set(LEFT_OF), f"rooms without a place in the order: {rooms - set(LEFT_OF)}"


def test_no_module_without_a_noun() -> None:
    banned = {"utils", "helpers", "common", "base", "misc"}
    assert not {path.stem for path in modules()} & banned
