"""Tenants and their keys: what is said of contradictions, and that no message shows a key."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from riverrun.config import Config, read
from riverrun.failures import Failure

CANARY = "canary-key-of-a-tenant-4711"
HASHED = f"sha256:{hashlib.sha256(CANARY.encode()).hexdigest()}"
OTHER = "another-key-0123456789"


def configured(folder: Path, text: str) -> Config:
    file = folder / "riverrun.toml"
    file.write_text(text, encoding="utf-8")
    return read(file, {}, {"CANARY": CANARY})


def tenant(name: str, *keys: str) -> str:
    return f"[[tenant]]\nname = {json.dumps(name)}\nkeys = {json.dumps(keys)}\n"


def test_a_key_is_the_same_plain_and_hashed(tmp_path: Path) -> None:
    plain = configured(tmp_path, tenant("acme", "${CANARY}", OTHER))
    hashed = configured(tmp_path, tenant("acme", HASHED, OTHER))
    assert plain.owners == hashed.owners
    assert set(plain.owners.values()) == {"acme"}
    assert CANARY not in repr(plain)


def test_the_servers_own_keys_are_the_default_tenants(tmp_path: Path) -> None:
    config = configured(tmp_path, f'[server]\napi_keys = ["{OTHER}"]\n' + tenant("acme", HASHED))
    assert sorted(config.owners.values()) == ["acme", "default"]
    assert Config().owners == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (tenant("a", CANARY) + tenant("a", OTHER), "'a' is given twice"),
        (tenant("a", CANARY) + tenant("b", CANARY), r"tenant 'b': keys\[0\] also opens tenant 'a'"),
        (tenant("a", "${CANARY}") + tenant("b", OTHER, HASHED), r"tenant 'b': keys\[1\] also opens tenant 'a'"),
        (tenant("a", HASHED) + tenant("b", CANARY), r"tenant 'b': keys\[0\] also opens tenant 'a'"),
        (f'[server]\napi_keys = ["{CANARY}"]\n' + tenant("a", HASHED), r"keys\[0\] also opens server.api_keys"),
        (tenant("default", CANARY), "this name is riverrun's own"),
        (tenant("local", CANARY), "this name is riverrun's own"),
        (tenant("a"), r"\$.tenant\[0\].keys"),
        (tenant("a", "too-short"), r"at least 16 characters.*\$.tenant\[0\].keys\[0\]"),
        (tenant("a", CANARY + "\n"), "visible ASCII"),
        (tenant("a", CANARY + " x"), "visible ASCII"),
        (tenant("a", "sha256:" + "g" * 64), "64 hexadecimal digits"),
        (tenant("a", HASHED[:-1]), "64 hexadecimal digits"),
        (f"[[tenant]]\nname = 'a'\nkey = ['{CANARY}']\n", r"tenant\[0\].key is not known; did you mean `keys`"),
    ],
)
def test_what_is_wrong_is_named_and_no_key_is(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Failure, match=said) as caught:
        configured(tmp_path, text.replace("'too", '"too'))
    assert "canary" not in caught.value.message
    assert HASHED[7:20] not in caught.value.message


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "-a", "a/b", "ä", "a" * 65, "a\\n", "'; DROP TABLE settle; --", "\\u0000"]
)
def test_a_tenants_name_is_short_and_plain(tmp_path: Path, name: str) -> None:
    with pytest.raises(Failure, match=r"\$.tenant\[0\].name"):
        configured(tmp_path, f'[[tenant]]\nname = "{name}"\nkeys = ["{OTHER}"]\n')


@pytest.mark.parametrize("name", ["a", "acme-2", "Team.Blue_3", "9", "a" * 64])
def test_names_that_are_fine(tmp_path: Path, name: str) -> None:
    assert configured(tmp_path, tenant(name, OTHER)).tenant[0].name == name
