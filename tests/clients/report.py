"""What the Python client programs share: their cases, strict checks, and one JSON line per scenario.

Standard library only, so that it runs in the environment of every client. It knows no client and no server.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, NoReturn, TypeVar

CASES = json.loads(Path(__file__).with_name("cases.json").read_text("utf-8"))
TOOLS = {tool["function"]["name"]: tool["function"]["parameters"] for tool in CASES["tools"]}
Failed = TypeVar("Failed", bound=Exception)
DETAIL_LIMIT = 4000
"""Characters of a failure's traceback that are reported; its end says what went wrong."""


class Place(NamedTuple):
    """Where the program talks to: `base_url` ends in `/v1`."""

    base_url: str
    model: str
    api_key: str = "unused"


Scenario = Callable[[Place], str]
"""Does one thing with the client, asserts what came back, and returns a few words about it."""


def main(*scenarios: Scenario) -> NoReturn:
    """Run `run.py BASE_URL MODEL [SCENARIO ...]`: prints a JSON line for each scenario, exits 1 when one fails.

    It then waits until its standard input is closed, so that whoever started it can see what the cancelled
    stream left behind while the client that cancelled it is still alive.
    """
    base_url, model, *only = sys.argv[1:]
    place = Place(base_url, model)
    chosen = [scenario for scenario in scenarios if not only or scenario.__name__ in only]
    results = [report(scenario, place) for scenario in chosen]
    sys.stdin.read()
    sys.exit(0 if all(results) else 1)


def report(scenario: Scenario, place: Place) -> bool:
    """Run one scenario and print its line. Whatever it raises is its failure, not the program's end."""
    try:
        ok, detail = True, scenario(place)
    except Exception as error:
        ok, detail = False, "".join(traceback.format_exception(error))[-DETAIL_LIMIT:]
    print(json.dumps({"scenario": scenario.__name__, "ok": ok, "detail": detail}), flush=True)
    return ok


def raised(kind: type[Failed], attempt: Callable[[], object]) -> Failed:
    """The error of `kind` that `attempt` must raise."""
    try:
        answer = attempt()
    except kind as error:
        return error
    raise AssertionError(f"expected a {kind.__name__}, got the answer {answer!r}")


def check_object(text: str, schema: dict[str, object]) -> None:
    """Assert that `text` is JSON which fits one of the flat object schemas of cases.json."""
    value = json.loads(text)
    assert isinstance(value, dict), f"expected an object, got {text!r}"
    check_fields(value, schema)


def check_fields(value: dict[str, object], schema: dict[str, object]) -> None:
    """Assert that `value` has exactly the schema's properties, each of its type, enum and length."""
    properties = schema["properties"]
    assert isinstance(properties, dict)
    assert set(value) == set(properties), f"expected the keys {sorted(properties)}, got {value}"
    kinds = {"string": str, "boolean": bool}
    for name, rule in properties.items():
        assert isinstance(value[name], kinds[rule["type"]]), f"{name} is not a {rule['type']}: {value}"
        assert value[name] in rule.get("enum", [value[name]]), f"{name} is not in its enum: {value}"
        assert len(str(value[name])) <= rule.get("maxLength", 1000), f"{name} is too long: {value}"


def check_usage(prompt: int, completion: int, total: int, limit: int) -> None:
    """Assert that the counts are positive, add up, and keep to the limit."""
    assert prompt > 0, f"no prompt tokens: {prompt}"
    assert 0 < completion <= limit, f"{completion} completion tokens with a limit of {limit}"
    assert prompt + completion == total, f"{prompt} + {completion} is not {total}"
