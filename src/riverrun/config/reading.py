"""Reads the configuration: file, environment and command line become one Config, or one line of what is wrong."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from riverrun.config.nearest import unknown
from riverrun.config.values import decode
from riverrun.config.variables import Filling
from riverrun.config.whole import Config
from riverrun.failures import Cause, Failure

KINDS = msgspec.inspect.type_info(Config)

Overrides = Mapping[str, Mapping[str, object]]


class Loaded(msgspec.Struct, frozen=True):
    """A configuration, and by the place of a setting (`upstream.gpu1.key`) the environment variables in it."""

    config: Config
    variables: Mapping[str, tuple[str, ...]]
    filling: Filling

    @contextmanager
    def hiding(self) -> Iterator[None]:
        """A Failure raised inside is shown with the variables' names for what they hold: it may be a key."""
        try:
            yield
        except Failure as failure:
            failure.message = self.filling.hidden(failure.message)
            failure.args = (failure.message,)
            raise

    def __repr__(self) -> str:
        return f"Loaded({self.config!r}, variables={self.variables!r})"


def read(path: Path | None, overrides: Overrides, environ: Mapping[str, str]) -> Config:
    """The configuration. `overrides` are the command line's, by section; None values there are not given.

    Raises Failure with the file and the place in it.
    """
    return load(path, overrides, environ).config


def load(path: Path | None, overrides: Overrides, environ: Mapping[str, str]) -> Loaded:
    """As `read`, with what came from the environment."""
    filling = Filling(environ)
    try:
        sections = filling.filled(_file(path)) if path is not None else {}
    except LookupError as error:
        raise invalid(path, str(error.args[0])) from None
    assert isinstance(sections, dict)
    if environ.get("RIVERRUN_API_KEY"):
        _set(sections, "server", {"api_keys": [environ["RIVERRUN_API_KEY"]]})
    for section, values in overrides.items():
        _set(sections, section, {name: value for name, value in values.items() if value is not None})
    wrong = next(unknown(sections, KINDS), None)
    if wrong is not None:
        raise invalid(path, wrong)
    try:
        return Loaded(msgspec.convert(sections, Config, dec_hook=decode), filling.used, filling)
    except msgspec.ValidationError as error:
        raise invalid(path, filling.hidden(str(error))) from None


def invalid(path: Path | None, what: str) -> Failure:
    """The one line for a configuration that can't be used."""
    where = f"in {path}, the environment or the command line" if path else "in the environment or the command line"
    return Failure(Cause.BAD_REQUEST, f"The configuration {where} is not valid: {what.rstrip('.')}.")


def _set(sections: dict[str, object], section: str, values: Mapping[str, object]) -> None:
    before = sections.get(section, {})
    if isinstance(before, dict):
        sections[section] = {**before, **values}


def _file(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise Failure(Cause.BAD_REQUEST, f"The configuration file {path} can't be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:  # TOML and UTF-8 errors are ValueErrors, endless numbers too
        raise Failure(Cause.BAD_REQUEST, f"The configuration file {path} is not TOML: {error}.") from None
