from __future__ import annotations

import pytest

from riverrun.dialects.history import media_type, text, thought


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.mp4", "video/mp4"),
        ("https://x.test/b.c/a.JPEG?x=y.png#z", "image/jpeg"),
        ("https://x.test/a", None),
        ("a.", None),
        ("", None),
        (None, None),
    ],
)
def test_an_ending_tells_a_media_type(name: str | None, kind: str | None) -> None:
    assert media_type(name) == kind


def test_text_is_what_a_content_says() -> None:
    assert text("a") == "a"
    assert text(None) == ""


def test_a_thought_is_found_under_either_name() -> None:
    assert thought({"reasoning_content": "a", "reasoning": "b"}) == "a"
    assert thought({"reasoning": "b"}) == "b"
    assert thought({"reasoning": ["b"]}) == ""
