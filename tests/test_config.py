"""Configuration: where it comes from, and what is said when it is wrong."""

from pathlib import Path

import pytest

from riverrun.config import Config, read
from riverrun.failures import Failure


def test_defaults_need_nothing() -> None:
    assert read(None, {}, {}) == Config()


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "riverrun.toml"
    file.write_text('[server]\nport = 1234\nhost = "::1"\napi_keys = ["from-the-file-0001"]\n[engine]\nslots = 2\n')
    environ = {"RIVERRUN_API_KEY": "from-the-environment"}
    config = read(file, {"server": {"port": 99, "host": None}, "engine": {"slots": None}}, environ)
    assert (config.server.port, config.server.host, config.engine.slots) == (99, "::1", 2)
    assert config.server.api_keys == ("from-the-environment",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[server]\nprot = 1", "unknown field `prot`"),
        ("[sever]\n", "unknown field `sever`"),
        ("[server]\nport = 70000", r"\$.server.port"),
        ('[server]\napi_keys = ["short"]', r"\$.server.api_keys"),
        ("[engine]\nslots = true", r"\$.engine.slots"),
        ("[server", "is not TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "riverrun.toml"
    file.write_text(text)
    with pytest.raises(Failure, match=said) as caught:
        read(file, {}, {})
    assert str(file) in caught.value.message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"none.toml can't be read: No such file"):
        read(tmp_path / "none.toml", {}, {})


def test_a_key_is_not_shown_in_the_message(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        read(None, {}, {"RIVERRUN_API_KEY": "hunter2"})
    assert "hunter2" not in caught.value.message
