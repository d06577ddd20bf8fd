"""No blindness: each rule finds its own defects, and nothing but what they entail."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from riverrun.conformance import Capture, failures, judge
from riverrun.conformance.cases import RULES
from tests.conformance import mutations

BY_ID = {one.id: one for one in RULES}
BY_SERVER = {"E1", *(f"B{number}" for number in range(1, 13))}
"""The rules whose mutants are servers: tests/conformance/test_probe.py."""

MUTANTS: list[tuple[str, int]] = [(id, number) for id in (*mutations.STREAMS, *mutations.COMPARED) for number in (0, 1)]


def made(id: str, number: int) -> tuple[Capture, Sequence[Capture]]:
    """A mutant and what stands beside it."""
    if id in mutations.COMPARED:
        return mutations.COMPARED[id][number]
    return mutations.STREAMS[id][number](), ()


def found(id: str, number: int) -> set[str]:
    """The ids of the rules that a mutant breaks."""
    return {one.rule.id for one in failures(judge(*made(id, number)))}


@pytest.mark.parametrize(("id", "number"), MUTANTS)
def test_a_mutant_breaks_its_rule_and_what_that_entails(id: str, number: int) -> None:
    ids = found(id, number)
    assert id in ids
    assert ids - {id} <= set(BY_ID[id].entails)


def test_what_a_rule_entails_is_seen() -> None:
    for id in (*mutations.STREAMS, *mutations.COMPARED):
        assert set(BY_ID[id].entails) <= found(id, 0) | found(id, 1), id


def test_a_failure_shows_its_bytes() -> None:
    for id, number in MUTANTS:
        capture, beside = made(id, number)
        first = next(one for one in failures(judge(capture, beside)) if one.rule.id == id)
        assert first.note
        if first.shows and first.at:
            assert first.shows in capture.body.removeprefix(b"\xef\xbb\xbf")[first.at :]


def test_every_rule_has_mutants_and_the_score_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    covered = {*mutations.STREAMS, *mutations.COMPARED}
    assert covered | BY_SERVER == set(BY_ID)
    caught = sum(id in found(id, number) for id, number in MUTANTS)
    with capsys.disabled():
        print(f"\nmutation score: {caught} of {len(MUTANTS)} captures, {len(covered)} of {len(BY_ID)} rules")
    assert caught == len(MUTANTS)


def test_the_table_is_whole() -> None:
    assert len(BY_ID) == len(RULES) == 82
    for one in RULES:
        assert one.sentence.endswith(".")
        assert one.source
        assert set(one.entails) <= set(BY_ID)
