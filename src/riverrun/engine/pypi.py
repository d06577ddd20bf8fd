"""Where a package index has a wheel. Speaks the simple API: JSON (PEP 691), and HTML (PEP 503) where that is all.

The index is the one that pip or uv is set to use on this machine, so that a closed network's own mirror is found.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import msgspec

from riverrun.engine.errors import SourceFailed
from riverrun.engine.web import Web

DEFAULT_INDEX = "https://pypi.org/simple"
ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.1"
PAGE_LIMIT = 16 * 1024 * 1024
PIP_SECONDS = 20


class Indexes(msgspec.Struct, frozen=True):
    """Index URLs in the order of asking, and the CA bundle that pip trusts (None: the system's)."""

    urls: tuple[str, ...]
    ca_bundle: str | None = None


class Wheel(msgspec.Struct, frozen=True):
    """One wheel file on an index; `sha256` where the index says it."""

    filename: str
    url: str
    sha256: str | None


class _File(msgspec.Struct, frozen=True):
    filename: str
    url: str
    hashes: dict[str, str]


class _Page(msgspec.Struct, frozen=True):
    files: tuple[_File, ...]


def indexes(environ: Mapping[str, str], pip: Mapping[str, str]) -> Indexes:
    """The indexes to ask. `pip` is pip's configuration (see `pip_configuration`); variables go before it."""
    first = environ.get("PIP_INDEX_URL") or environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL")
    first = first or pip.get("index-url") or DEFAULT_INDEX
    extra = environ.get("PIP_EXTRA_INDEX_URL") or pip.get("extra-index-url") or ""
    urls = [url for url in (first, *extra.split()) if urlsplit(url).scheme in ("http", "https")]
    return Indexes(tuple(dict.fromkeys(urls)), environ.get("PIP_CERT") or pip.get("cert"))


def pip_configuration() -> dict[str, str]:
    """What `pip config list` says, by setting; empty where this environment has no pip."""
    try:
        listed = subprocess.run(
            [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, timeout=PIP_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return parse_configuration(listed.stdout)


def parse_configuration(listed: str) -> dict[str, str]:
    """`section.name='value'` lines to values by name; `download` goes before `install`, and that before `global`."""
    found: dict[str, str] = {}
    for section in ("global", "install", "download", ":env:"):
        for match in re.finditer(rf"^{section}\.([\w-]+)=(.*)$", listed, re.MULTILINE):
            try:
                found[match[1]] = str(ast.literal_eval(match[2]))
            except (ValueError, SyntaxError):
                continue
    return found


def find(web: Web, index: str, requirement: str) -> Wheel:
    """The pure-Python wheel of `name==version` on the index. Raises SourceFailed."""
    name, _, version = requirement.partition("==")
    page = f"{index.rstrip('/')}/{normalised(name)}/"
    body, content_type = web.read(page, {"accept": ACCEPT}, PAGE_LIMIT)
    wheels = _from_json(body, page) if "json" in content_type else _from_html(body, page)
    start = f"{normalised(name).replace('-', '_')}-{version}-"
    for wheel in wheels:
        if wheel.filename.lower().startswith(start) and wheel.filename.endswith("-none-any.whl"):
            return wheel
    raise SourceFailed(f"{urlsplit(index).hostname} has no wheel of {requirement}")


def normalised(name: str) -> str:
    """A project's name as the simple API spells it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _from_json(body: bytes, page: str) -> list[Wheel]:
    try:
        files = msgspec.json.decode(body, type=_Page).files
    except msgspec.DecodeError as error:
        raise SourceFailed(f"{urlsplit(page).hostname} answered a page that is no index ({error})") from None
    return [Wheel(file.filename, urljoin(page, file.url), file.hashes.get("sha256")) for file in files]


def _from_html(body: bytes, page: str) -> list[Wheel]:
    links = _Links()
    links.feed(body.decode("utf-8", "replace"))
    return [_linked(urljoin(page, link)) for link in links.found]


def _linked(link: str) -> Wheel:
    url, fragment = urldefrag(link)
    algorithm, _, value = fragment.partition("=")
    return Wheel(unquote(urlsplit(url).path.rsplit("/", 1)[-1]), url, value if algorithm == "sha256" else None)


class _Links(HTMLParser):
    """The targets of a page's anchors."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]


def environment_indexes() -> Indexes:
    """The indexes of this machine, as pip and the environment are set."""
    return indexes(os.environ, pip_configuration())
