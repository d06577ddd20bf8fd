"""The dialects keep the contract (checked by the type checker, and here by use)."""

from __future__ import annotations

from riverrun.dialects.contract import Dialect, Reader
from riverrun.dialects.openai import OpenAI
from tests.dialects.asks import ask, engine

DIALECTS: list[Dialect] = [OpenAI()]


def test_a_new_reader_is_not_done() -> None:
    for dialect in DIALECTS:
        reader: Reader = dialect.reader(ask(), engine())
        assert reader.done is False
