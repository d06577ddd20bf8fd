from __future__ import annotations

import subprocess
import sys

import pytest

import riverrun
from riverrun.clients.library import fitting, load

WITHOUT_LIBRARY = """
import sys
sys.modules["httpx2"] = None
import riverrun
try:
    riverrun.client(library="httpx2")
except ImportError as error:
    print(error)
"""


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    return done.stdout


def test_the_library_is_the_one_that_openai_requires() -> None:
    assert fitting() == "httpx2"
    assert load(None).Client.__module__.startswith("httpx2")


def test_a_wrong_name_is_refused() -> None:
    with pytest.raises(ValueError, match="must be one of httpx2, httpx"):
        riverrun.client(library="requests")


def test_a_missing_library_says_what_to_install() -> None:
    assert "install openai, httpx2 or httpx" in run(WITHOUT_LIBRARY)


def test_riverrun_stays_light() -> None:
    assert run("import riverrun, sys; print([n for n in ('httpx2', 'msgspec', 'anyio') if n in sys.modules])") == "[]\n"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'server_of_dreams'"):
        _ = riverrun.server_of_dreams


def test_connection_arguments_reach_the_connections() -> None:
    with pytest.raises(ValueError, match="Unknown scheme for proxy URL"):
        riverrun.client(proxy="gopher://127.0.0.1")
    with riverrun.client(timeout=3.0, headers={"x-mine": "1"}) as client:
        assert client.timeout.read == 3.0
        assert client.headers["x-mine"] == "1"
        assert not client.follow_redirects
    with riverrun.client() as client:
        assert (client.timeout.read, client.timeout.connect) == (600.0, 5.0)
