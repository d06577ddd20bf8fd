"""Every language has its dialect."""

from riverrun.dialects.languages import LANGUAGES, languages
from riverrun.dialects.rows import ROWS


def test_every_row_speaks_a_language_that_is_known() -> None:
    assert {row.dialect for row in ROWS.values()} == set(LANGUAGES)


def test_one_dialect_each() -> None:
    assert {name: type(each) for name, each in languages().items()} == dict(LANGUAGES)
