"""Reports, as a person and as machines read them; and the page that is made of the table."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from riverrun.conformance import Capture, judge
from riverrun.conformance.cases import RULES
from riverrun.conformance.document import document
from riverrun.conformance.report import REPORTS, as_json, as_junit, as_markdown, as_text
from tests.conformance import streams

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
BAD = streams.captured(b"\xef\xbb\xbf" + streams.rendered(streams.text(["\x00[red]", "|"]), b'data: "[DONE]"\n\n'))


def test_text_tells_the_verdict_the_failure_and_who_breaks() -> None:
    told = as_text(judge(BAD), width=100)
    assert "FAIL: " in told.splitlines()[-1]
    assert "2 musts and 0 shoulds fail" in told
    assert "F8 must No byte order mark." in told
    assert "breaks: quoted: openai-python" in told
    assert "no tool call came" not in told
    assert len(told.splitlines()) < 25


def test_details_show_bytes_and_reasons() -> None:
    told = as_text(judge(BAD), details=True, width=120)
    assert r"byte 0: \xef\xbb\xbfdata: {" in told
    assert "no tool call came" in told
    assert all(one.id in told for one in RULES)


def test_a_pass_is_told_as_one() -> None:
    assert as_text(judge(streams.captured(streams.text()))).splitlines()[-1].startswith("PASS: ")


def test_json_has_every_rule() -> None:
    told = json.loads(as_json(judge(BAD)))
    assert (told["verdict"], told["must"], len(told["findings"])) == ("fail", 2, len(RULES))
    failed = next(one for one in told["findings"] if one["rule"] == "F8")
    assert failed["outcome"] == "fail"
    assert failed["bytes"].startswith("\ufeffdata: ")


def test_junit_counts_musts_and_escapes_what_xml_cannot_hold() -> None:
    suite = ElementTree.fromstring(as_junit(judge(BAD)))
    assert (suite.get("tests"), suite.get("failures")) == (str(len(RULES)), "2")
    assert len(suite.findall("testcase/failure")) == 2
    assert suite.find("testcase/skipped") is not None


def test_markdown_is_one_table() -> None:
    lines = as_markdown(judge(BAD)).splitlines()
    assert lines[0].startswith("**FAIL")
    assert [line.split(" | ")[0] for line in lines[4:]] == ["| F8", "| F11"]


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_takes_anything(name: str) -> None:
    assert REPORTS[name](judge(Capture(status=0)), True)


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == document(), "run: python -m riverrun.conformance.document docs/conformance.md"
