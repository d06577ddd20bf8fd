from __future__ import annotations

from typing import get_args

import pytest

from riverrun.dialects.scales import LANGUAGES, scale
from riverrun.wire.parameters import Effort


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_scale_is_used_and_speaks_of_efforts_that_exist(language: str) -> None:
    table = LANGUAGES[language]
    assert set(table.models.values()) - {""} == set(table.scales)
    for efforts in table.scales.values():
        assert set(efforts) <= set(get_args(Effort))


def test_the_first_pattern_that_fits_counts() -> None:
    assert scale("gemini", "gemini-2.5-pro-preview") is LANGUAGES["gemini"].scales["long budget"]
    assert scale("gemini", "gemini-2.5-flash-lite") is LANGUAGES["gemini"].scales["budget"]
    assert scale("gemini", "gemini-2.5-flash-image") is None
    assert scale("gemini", "gemini-9-ultra") is LANGUAGES["gemini"].scales["levels"]
    assert scale("gemini", "tuned-123") is None
