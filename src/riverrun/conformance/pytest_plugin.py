"""For the test suites of others: a fixture that checks an endpoint and fails with the report.

def test_my_server(conforms):
    conforms("http://127.0.0.1:8000/v1", model="small", only=["F", "I", "O"])
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:  # every pytest run imports this module, so what it needs is imported when it is used
    from riverrun.conformance.rules import Finding


class Conforms(Protocol):
    """Checks an endpoint; `strict` makes a failed should a failure too. Raises AssertionError with the report."""

    def __call__(
        self, url: str, *, model: str, key: str = "", only: Iterable[str] = (), strict: bool = False
    ) -> list[Finding]: ...


@pytest.fixture
def conforms() -> Conforms:
    """A function that plays the exchanges against a URL and asserts that no must fails."""
    from riverrun.conformance.judge import failures
    from riverrun.conformance.probe import Endpoint, examine
    from riverrun.conformance.report import as_text

    def check(url: str, *, model: str, key: str = "", only: Iterable[str] = (), strict: bool = False) -> list[Finding]:
        _, findings = asyncio.run(examine(Endpoint(url=url, model=model, key=key), only))
        if failures(findings, "" if strict else "must"):
            pytest.fail(as_text(findings, details=True), pytrace=False)
        return findings

    return check
