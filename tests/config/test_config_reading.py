"""Configuration: where it comes from, and what is said when it is wrong."""

from pathlib import Path

import pytest

from riverrun.config import Config, Secret, load, read
from riverrun.failures import Cause, Failure

EXAMPLE = """
[upstream.gpu1]
dialect = "openai"
base_url = "http://gpu1:8000/v1"
key = "${GPU1_KEY}"
deadlines = { connect = "5s", first_token = "500ms", idle = 15, total = "10m" }
prefill = "continue_final_message"
extra = ["top_k", "min_p"]

[[model]]
name = "fast"
targets = ["gpu1/qwen3-32b", { target = "openai/gpt-5-mini", weight = 1 }, "local/smollm2"]
retries = 1
continue = "same-model"
hedge_after = "2s"
"""

MODEL = '[[model]]\nname = "m"\ntargets = ["a/b"]\n'


def written(folder: Path, text: str) -> Path:
    file = folder / "riverrun.toml"
    file.write_text(text)
    return file


def test_defaults_need_nothing() -> None:
    assert read(None, {}, {}) == Config()


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = written(
        tmp_path, '[server]\nport = 1234\nhost = "::1"\napi_keys = ["from-the-file-0001"]\n[engine]\nslots = 2\n'
    )
    environ = {"RIVERRUN_API_KEY": "from-the-environment"}
    config = read(file, {"server": {"port": 99, "host": None}, "engine": {"slots": None}}, environ)
    assert (config.server.port, config.server.host, config.engine.slots) == (99, "::1", 2)
    assert config.server.api_keys == (Secret("from-the-environment"),)


def test_upstreams_and_models_as_the_example_has_them(tmp_path: Path) -> None:
    loaded = load(written(tmp_path, EXAMPLE), {}, {"GPU1_KEY": "canary-4711"})
    gpu1, (fast,) = loaded.config.upstream["gpu1"], loaded.config.model
    assert gpu1.key == Secret("canary-4711")
    assert gpu1.deadlines.first_token == 0.5
    assert gpu1.deadlines.total == 600.0
    assert [(each.upstream, each.model, each.weight) for each in fast.tried] == [
        ("gpu1", "qwen3-32b", None),
        ("openai", "gpt-5-mini", 1),
        ("local", "smollm2", None),
    ]
    assert (fast.retries, fast.continues, fast.hedge_after) == (1, "same-model", 2.0)
    assert loaded.variables == {"upstream.gpu1.key": ("GPU1_KEY",)}
    assert "canary" not in repr(loaded)
    assert "canary" not in f"{gpu1.key}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[server]\nprot = 1", r"server.prot is not known; did you mean `port`\?"),
        ("[sever]\n", r"sever is not known; did you mean `server`\?"),
        ('[upstream.a]\nbase_ulr = "x"', r"upstream.a.base_ulr is not known; did you mean `base_url`\?"),
        ('[upstream.a]\ndeadlines = { idel = "1s" }', r"upstream.a.deadlines.idel is not known; did you mean `idle`\?"),
        ('[[model]]\nname = "m"\ntargets = [{ target = "a/b", wieght = 1 }]', r"targets\[0\].wieght .* `weight`\?"),
        ("[server]\nport = 70000", r"\$.server.port"),
        ('[server]\napi_keys = ["short"]', r"\$.server.api_keys"),
        ("[engine]\nslots = true", r"\$.engine.slots"),
        ("[server", "is not TOML"),
        ('[upstream.a]\ndeadlines = { idle = "5 s" }', r'such as "500ms".*\$.upstream\[...\].deadlines.idle'),
        ('[[model]]\nname = "m"\ntargets = []', r"\$.model\[0\].targets"),
        ('[[model]]\nname = "m"\ntargets = ["gpt"]', r"model 'm': targets\[0\]: 'gpt' is not UPSTREAM/MODEL"),
        ('[[model]]\nname = "m"\ntargets = ["a/b", "a/b"]', r"targets\[1\]: 'a/b' is named twice"),
        ('[[model]]\nname = "m"\ntargets = ["a/*"]', r"the \* in 'a/\*' stands for nothing"),
        ('[[model]]\nname = "m*"\naliases = ["n"]\ntargets = ["a/*"]', "one \\*, and so has each alias"),
        ('[[model]]\nname = "m*"\ndefault = true\ntargets = ["a/*"]', "can't be the default"),
        ('[[model]]\nname = "m"\naliases = ["m"]\ntargets = ["a/b"]', "'m' is given 2 times"),
        (
            f'{MODEL}fallbacks = {{ context_to_long = ["a/c"] }}',
            r"fallbacks.context_to_long is not known; did you mean `context_too_long`\?",
        ),
        (f'{MODEL}fallbacks = {{ bad_request = ["a/c"] }}', "fallbacks.bad_request is not known"),
        (f"{MODEL}fallbacks = {{ content_policy = [] }}", r"\$.model\[0\].fallbacks.content_policy"),
        (
            f'{MODEL}fallbacks = {{ content_policy = ["gpt"] }}',
            r"model 'm': fallbacks.content_policy\[0\]: 'gpt' is not UPSTREAM/MODEL",
        ),
        (f'{MODEL}fallbacks = {{ upstream_busy = ["a/c", "a/c"] }}', r"upstream_busy\[1\]: 'a/c' is named twice"),
        (f'{MODEL}fallbacks = {{ upstream_busy = ["a/*"] }}', r"the \* in 'a/\*' stands for nothing"),
        (
            f'{MODEL}fallbacks = {{ upstream_busy = [{{ target = "a/c", weight = 1 }}] }}',
            "fallbacks.upstream_busy: a weight has no meaning here",
        ),
        ("[upstream.local]\n", "means the models of this machine"),
        ('[[model]]\nname = "m\\n"\ntargets = ["a/b"]', r"'m\\n' holds a control character"),
        ('[[model]]\nname = "m"\naliases = ["\\u001b[2J"]\ntargets = ["a/b"]', "holds a control character"),
        ('[[model]]\nname = "m"\ntargets = [{ target = "a/b\\u0000" }]', "holds a control character"),
        (f'{MODEL}fallbacks = {{ upstream_busy = ["a/c\\r"] }}', "holds a control character"),
        ('[upstream.a]\nkey = "a\\nb"', r"without control characters.*key"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(Failure, match=said) as caught:
        read(file, {}, {})
    assert str(file) in caught.value.message


def test_fallbacks_are_read_by_their_causes(tmp_path: Path) -> None:
    text = f'{MODEL}fallbacks = {{ context_too_long = ["a/c", {{ target = "a/b", thinks = false }}] }}'
    (model,) = read(written(tmp_path, text), {}, {}).model
    assert {cause: [each.target for each in named] for cause, named in model.fallbacks.named.items()} == {
        Cause.CONTEXT_TOO_LONG: ["a/c", "a/b"]
    }
    assert [each.thinks for each in model.reached] == [None, None, False]


def test_only_one_default(tmp_path: Path) -> None:
    one = '[[model]]\nname = "{}"\ntargets = ["a/b"]\ndefault = true\n'
    with pytest.raises(Failure, match="'x' and 'y' are both the default"):
        read(written(tmp_path, one.format("x") + one.format("y")), {}, {})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"none.toml can't be read: No such file"):
        read(tmp_path / "none.toml", {}, {})


def test_an_unset_variable_is_named_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"riverrun.toml.*upstream.gpu1.key: .* GPU1_KEY is not set"):
        read(written(tmp_path, EXAMPLE), {}, {"GPU1_KEY": ""})


def test_a_key_is_not_shown_in_the_message(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        read(None, {}, {"RIVERRUN_API_KEY": "hunter2"})
    assert "hunter2" not in caught.value.message
    file = written(tmp_path, '[[model]]\nname = "m"\ntargets = ["${KEY}"]')
    with pytest.raises(Failure) as caught:
        read(file, {}, {"KEY": "canary-4711"})
    assert "canary" not in caught.value.message
    assert "${KEY}" in caught.value.message


@pytest.mark.parametrize("text", ["a=" + "9" * 5000, "a = " + "[" * 20000])
def test_a_file_that_is_no_configuration_is_one_clear_failure(tmp_path: Path, text: str) -> None:
    file = tmp_path / "riverrun.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(Failure, match="is not TOML"):
        read(file, {}, {})


def test_an_endless_number_is_no_duration(tmp_path: Path) -> None:
    file = tmp_path / "riverrun.toml"
    file.write_text(
        "[upstream.a]\nbase_url = 'http://a/v1'\ndeadlines = { idle = 1" + "0" * 400 + " }\n", encoding="utf-8"
    )
    with pytest.raises(Failure, match="Expected a duration"):
        read(file, {}, {})


def test_a_byte_order_mark_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "riverrun.toml"
    file.write_bytes(b"\xef\xbb\xbf[server]\nport = 1234\n")
    assert read(file, {}, {}).server.port == 1234


def test_a_failure_that_comes_later_shows_no_value_of_a_variable(tmp_path: Path) -> None:
    loaded = load(written(tmp_path, '[upstream.a]\ndialect = "${KEY}"\n'), {}, {"KEY": "canary-4711"})
    with pytest.raises(Failure) as caught, loaded.hiding():
        raise Failure(Cause.BAD_REQUEST, f"{loaded.config.upstream['a'].dialect!r} is not spoken.")
    assert str(caught.value) == caught.value.message == "'${KEY}' is not spoken."
