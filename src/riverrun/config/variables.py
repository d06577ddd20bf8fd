"""`${NAME}` in a setting: what the environment says, put in its place; and which settings came from there."""

from __future__ import annotations

import re
from collections.abc import Mapping

VARIABLE = re.compile(r"\$(\$)?\{([^}]*)\}")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Filling:
    """Fills one configuration. `used`: by the place of a setting, the variables in it. `$${` stands for `${`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.used: dict[str, tuple[str, ...]] = {}

    def filled(self, value: object, place: str = "") -> object:
        """The value with every string in it filled. Raises LookupError, whose text names place and variable."""
        if isinstance(value, str):
            return VARIABLE.sub(lambda match: self._one(match, place), value)
        if isinstance(value, dict):
            return {name: self.filled(each, f"{place}.{name}" if place else name) for name, each in value.items()}
        if isinstance(value, list):
            return [self.filled(each, f"{place}[{index}]") for index, each in enumerate(value)]
        return value

    def hidden(self, text: str) -> str:
        """The text with the variables' names for what they hold: it may hold a key."""
        for name in {name for names in self.used.values() for name in names}:
            text = text.replace(self._environ[name], f"${{{name}}}") if len(self._environ[name]) > 3 else text
        return text

    def _one(self, match: re.Match[str], place: str) -> str:
        doubled, name = match.groups()
        if doubled:
            return match[0][1:]
        if not NAME.fullmatch(name):
            raise LookupError(f"{place}: {match[0]} names no environment variable; write ${{NAME}}")
        if not self._environ.get(name):
            raise LookupError(f"{place}: the environment variable {name} is not set")
        self.used[place] = (*self.used.get(place, ()), name)
        return self._environ[name]
