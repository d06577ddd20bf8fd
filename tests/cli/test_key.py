"""`riverrun key`: what it prints works, and is never the same."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from riverrun.cli import app
from riverrun.config import read
from riverrun.failures import Failure
from riverrun.server.guard import Keys


def made(*arguments: str) -> list[str]:
    done = CliRunner().invoke(app, ["key", *arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout.splitlines()


def test_the_lines_to_paste_open_the_server_for_the_key(tmp_path: Path) -> None:
    key, hashed, *rest = made("acme")
    file = tmp_path / "riverrun.toml"
    file.write_text("\n".join(rest), encoding="utf-8")
    assert Keys(read(file, {}, {}).owners).tenant(f"Bearer {key}") == "acme"
    assert tomllib.loads("\n".join(rest))["tenant"][0]["keys"] == [hashed]
    assert len([line for line in rest if line]) == 4


def test_a_key_is_random_and_shown_once() -> None:
    lines = [made() for _ in range(20)]
    keys = {each[0] for each in lines}
    assert len(keys) == 20
    assert all(key.startswith("rr-") and len(key) >= 3 + 128 / 6 for key in keys)
    assert all(each[0] not in "\n".join(each[1:]) for each in lines)


@pytest.mark.parametrize("name", ["a b", "'\nevil = 1", "default", "local", ""])
def test_a_name_that_no_tenant_can_have(name: str) -> None:
    with pytest.raises(Failure, match="can't be a tenant's name"):
        made(name)
