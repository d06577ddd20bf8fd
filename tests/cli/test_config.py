"""`riverrun config check`, and the example that explains every setting."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec import inspect
from typer.testing import CliRunner

from riverrun.cli.config import app
from riverrun.config import Config, read
from riverrun.failures import Failure

EXAMPLE = Path(__file__).parents[2] / "docs" / "riverrun.toml"
KEYS = {
    "GPU1_KEY": "canary-gpu1",
    "OPENAI_API_KEY": "canary-openai",
    "GROQ_API_KEY": "canary-groq",
    "RIVERRUN_TEAM_KEY": "canary-of-the-team",
}


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without riverrun.toml and without models, a wide terminal, and no keys of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RIVERRUN_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("COLUMNS", "200")
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)


def check(*arguments: str, **environ: str) -> str:
    """What it says. Raises what the command raised; the command line makes one line and exit code 1 of it."""
    done = CliRunner().invoke(app, ["check", *arguments], env=environ)
    if done.exception is not None:
        raise done.exception
    return done.stdout


def test_the_example_is_valid_and_shows_who_answers() -> None:
    said = check(str(EXAMPLE), **KEYS)
    assert f"{EXAMPLE} is valid." in said.replace("\n", "")
    order = ["gpu1/qwen3-32b", "openai/gpt-5-mini (weight 3)", "groq/openai/gpt-oss-20b (weight 1)", "smollm2-135m"]
    places = [said.index(target) for target in order]
    assert places == sorted(places)
    assert "upstream.gpu1.key comes from GPU1_KEY." in said
    assert "The key of openai comes from OPENAI_API_KEY." in said
    assert "wait for a restart" in said
    assert "canary" not in said


def test_its_deadlines_are_shown() -> None:
    said = check(str(EXAMPLE), **KEYS)
    (gpu1,) = [line for line in said.splitlines() if line.startswith("fast ")]
    assert gpu1.split()[-4:] == ["5s", "30s", "15s", "10m"]
    (groq,) = [line for line in said.splitlines() if "gpt-oss" in line]
    assert groq.split()[-4:] == ["5s", "5m", "2m", "20m"]
    local = next(line for line in said.splitlines() if line.strip().startswith("smollm2-135m"))
    assert local.split()[-4:] == ["5s", "off", "1m", "off"]


def test_fallbacks_are_shown_behind_the_targets(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text(
        '[upstream.a]\nbase_url = "http://x/v1"\n[engine]\nmodels = []\n'
        '[[model]]\nname = "m"\ntargets = ["a/1"]\nfallbacks = { content_policy = ["a/2"] }\n'
    )
    said = check(str(file))
    assert said.index("a/1") < said.index("a/2 (after content_policy)")


def test_the_example_names_every_setting_and_all_of_it_is_valid_at_once(tmp_path: Path) -> None:
    every = re.sub(r"(?m)^#(?=[a-z])", "", EXAMPLE.read_text(encoding="utf-8"))
    file = tmp_path / "every.toml"
    file.write_text(every, encoding="utf-8")
    read(file, {}, KEYS)
    assert [name for name in settings(inspect.type_info(Config)) if not re.search(rf"\b{name}\b *=", every)] == []


def test_the_examples_defaults_are_the_defaults(tmp_path: Path) -> None:
    """Every `#name = value` of the sections whose defaults are fixed says what riverrun does without it."""
    text = EXAMPLE.read_text(encoding="utf-8")
    file = tmp_path / "every.toml"
    file.write_text(re.sub(r"(?m)^#(?=[a-z])", "", text), encoding="utf-8")
    written, usual = read(file, {}, KEYS), Config()
    free = {"threads", "gpu_layers", "context", "batch", "idle_stop", "connections", "api_keys"}
    for section in ("server", "engine", "log"):
        said, known = (msgspec.structs.asdict(getattr(each, section)) for each in (written, usual))
        assert {name: said[name] for name in said if name not in free} == {
            name: known[name] for name in known if name not in free
        }


def test_without_a_file_it_tells_of_the_environment() -> None:
    said = check(ANTHROPIC_API_KEY="canary-anthropic")
    assert "There is no riverrun.toml here" in said
    assert "anthropic/*" in said
    assert "The key of anthropic comes from ANTHROPIC_API_KEY." in said
    assert "canary" not in said


def test_the_file_of_this_folder_is_found(tmp_path: Path) -> None:
    (tmp_path / "riverrun.toml").write_text('[upstream.a]\nbase_url = "http://x/v1"\n[engine]\nmodels = []\n')
    assert "riverrun.toml is valid." in check()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[sever]", "did you mean `server`"),
        ('[upstream.a]\nkey = "${NO_SUCH_VARIABLE}"', "upstream.a.key: .* NO_SUCH_VARIABLE is not set"),
        ('[[model]]\nname = "m"\ntargets = ["gpt1/x"]', "no upstream 'gpt1'"),
        ('[[model]]\nname = "m"\ntargets = ["openai/x"]', "set OPENAI_API_KEY"),
    ],
)
def test_what_is_wrong_is_one_failure(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "x.toml"
    file.write_text(text)
    with pytest.raises(Failure, match=said) as caught:
        check(str(file))
    assert "\n" not in caught.value.message


def settings(kind: inspect.Type) -> Iterator[str]:
    """The names of all settings, wherever they stand."""
    if isinstance(kind, inspect.StructType):
        for field in kind.fields:
            if field.encode_name not in Config.__struct_fields__:
                yield field.encode_name
            yield from settings(field.type)
    elif isinstance(kind, inspect.DictType):
        yield from settings(kind.value_type)
    elif isinstance(kind, inspect.VarTupleType):
        yield from settings(kind.item_type)
    elif isinstance(kind, inspect.UnionType):
        for each in kind.types:
            yield from settings(each)
