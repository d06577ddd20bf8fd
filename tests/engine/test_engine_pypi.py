from __future__ import annotations

import json

import pytest

from riverrun.engine import pypi
from riverrun.engine.errors import SourceFailed
from riverrun.engine.pypi import Wheel
from riverrun.engine.web import Web

from .fileserver import FileServer, refuse, serving, whole

FILES = [
    {"filename": "a_model-0.1-py3-none-any.whl", "url": "../../files/old.whl", "hashes": {"sha256": "0"}},
    {"filename": "a_model-0.1.2.tar.gz", "url": "https://files/sdist", "hashes": {}},
    {"filename": "a_model-0.1.2-py3-none-any.whl", "url": "../../files/new.whl", "hashes": {"sha256": "abc"}},
]
JSON = {"content-type": "application/vnd.pypi.simple.v1+json"}
HTML = {"content-type": "text/html; charset=utf-8"}
PAGE = b"""<html><body><a href="../../files/a_model-0.1-py3-none-any.whl#sha256=0">x</a>
<a href="/files/a%5Fmodel-0.1.2-py3-none-any.whl#sha256=abc" data-requires-python="3">y</a><a>z</a></body></html>"""


def find(server: FileServer, requirement: str = "A.Model==0.1.2") -> Wheel:
    return pypi.find(Web(), f"{server.url}/simple/", requirement)


def test_the_json_api_is_read() -> None:
    with serving() as server:
        server.answers["/simple/a-model/"] = whole(json.dumps({"files": FILES, "meta": {}}).encode(), JSON)
        assert find(server) == Wheel("a_model-0.1.2-py3-none-any.whl", f"{server.url}/files/new.whl", "abc")


def test_html_is_read_where_an_index_has_no_json() -> None:
    with serving() as server:
        server.answers["/simple/a-model/"] = whole(PAGE, HTML)
        url = f"{server.url}/files/a%5Fmodel-0.1.2-py3-none-any.whl"
        assert find(server) == Wheel("a_model-0.1.2-py3-none-any.whl", url, "abc")


@pytest.mark.parametrize("requirement", ["a-model==0.1.3", "a-model==0", "a==0.1.2"])
def test_a_version_that_is_not_there_is_said(requirement: str) -> None:
    with serving() as server:
        for name in ("a-model", "a"):
            server.answers[f"/simple/{name}/"] = whole(json.dumps({"files": FILES}).encode(), JSON)
        with pytest.raises(SourceFailed, match=f"127.0.0.1 has no wheel of {requirement}"):
            find(server, requirement)


def test_an_index_that_refuses_or_talks_nonsense_is_said() -> None:
    with serving() as server:
        server.answers["/simple/a-model/"] = refuse(403)
        with pytest.raises(SourceFailed, match="answered 403"):
            find(server)
        server.answers["/simple/a-model/"] = whole(b'{"files": 1}', JSON)
        with pytest.raises(SourceFailed, match="no index"):
            find(server)


def test_a_page_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pypi, "PAGE_LIMIT", 100)
    with serving() as server:
        server.answers["/simple/a-model/"] = whole(b" " * 101, JSON)
        with pytest.raises(SourceFailed, match="more than 100 bytes"):
            find(server)


LISTED = """global.index-url='https://global/simple'
global.extra-index-url='https://more/simple file:///somewhere'
install.index-url='https://install/simple'
download.timeout=5
:env:.cert='/etc/ca.pem'
global.broken='unfinished
"""


def test_pips_configuration_is_read_with_the_narrower_section_first() -> None:
    assert pypi.parse_configuration(LISTED) == {
        "index-url": "https://install/simple",
        "extra-index-url": "https://more/simple file:///somewhere",
        "timeout": "5",
        "cert": "/etc/ca.pem",
    }


@pytest.mark.parametrize(
    ("environ", "urls"),
    [
        ({}, ("https://install/simple", "https://more/simple")),
        ({"UV_INDEX_URL": "https://uv/simple"}, ("https://uv/simple", "https://more/simple")),
        (
            {
                "PIP_INDEX_URL": "https://pip/simple",
                "UV_INDEX_URL": "https://uv/simple",
                "PIP_EXTRA_INDEX_URL": "ftp://x",
            },
            ("https://pip/simple",),
        ),
    ],
)
def test_variables_go_before_configuration(environ: dict[str, str], urls: tuple[str, ...]) -> None:
    found = pypi.indexes(environ, pypi.parse_configuration(LISTED))
    assert found.urls == urls
    assert found.ca_bundle == "/etc/ca.pem"


def test_without_any_setting_it_is_the_public_index() -> None:
    assert pypi.indexes({}, {}) == pypi.Indexes(("https://pypi.org/simple",))
