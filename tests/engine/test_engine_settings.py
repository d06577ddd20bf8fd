from __future__ import annotations

import re

import msgspec

from riverrun.engine.settings import NotReady, Ready, Report, fingerprint

FACTS = ("xllamacpp 1", "abc", "Q4_1", "{{ messages }}", "openai")


def test_the_fingerprint_is_stable_and_short() -> None:
    assert re.fullmatch(r"fp_[0-9a-f]{10}", fingerprint(*FACTS))
    assert fingerprint(*FACTS) == fingerprint(*FACTS) == "fp_ef49e19070"


def test_each_fact_changes_it() -> None:
    changed = [(*FACTS[:n], FACTS[n] + "x", *FACTS[n + 1 :]) for n in range(len(FACTS))]
    assert len({fingerprint(*facts) for facts in [FACTS, *changed]}) == len(FACTS) + 1


def test_both_reports_survive_the_wire() -> None:
    for report in (
        Ready("unix:/x:/", None, 4, 8192, 100, True, ("text", "image"), "fp_0"),
        NotReady("no", "resources"),
    ):
        assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report
