"""The tools that a request offers, and how it says which one to call (wire-format.md, section 1.1)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from riverrun.wire.jsonvalue import JsonObject

PATTERN = r"^[a-zA-Z0-9_-]+(?!\n)$"
"""The official `^[a-zA-Z0-9_-]+$`; Python's `$` alone would let a final line feed through."""

Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=PATTERN)]


class Function(msgspec.Struct, frozen=True):
    """A function that the model may call; `parameters` is a JSON Schema."""

    name: Name
    description: str | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None


class FunctionTool(msgspec.Struct, frozen=True, tag_field="type", tag="function"):
    """A tool whose arguments are a JSON object."""

    function: Function

    @property
    def name(self) -> str:
        return self.function.name


class TextFormat(msgspec.Struct, frozen=True, tag_field="type", tag="text"):
    """Any text."""


class Grammar(msgspec.Struct, frozen=True):
    """A grammar in one of two notations."""

    syntax: Literal["lark", "regex"]
    definition: str


class GrammarFormat(msgspec.Struct, frozen=True, tag_field="type", tag="grammar"):
    """Text that follows a grammar."""

    grammar: Grammar


class Custom(msgspec.Struct, frozen=True):
    """A tool that takes text."""

    name: Name
    description: str | None = None
    format: TextFormat | GrammarFormat | None = None


class CustomTool(msgspec.Struct, frozen=True, tag_field="type", tag="custom"):
    """A tool whose input is text, free or after a grammar."""

    custom: Custom

    @property
    def name(self) -> str:
        return self.custom.name


Tool = FunctionTool | CustomTool


class Named(msgspec.Struct, frozen=True):
    """The name of one tool or function."""

    name: str


class FunctionChoice(msgspec.Struct, frozen=True, tag_field="type", tag="function"):
    """Call this function."""

    function: Named


class CustomChoice(msgspec.Struct, frozen=True, tag_field="type", tag="custom"):
    """Call this custom tool."""

    custom: Named


class Allowed(msgspec.Struct, frozen=True):
    """The tools that may be called this time, and whether one must be."""

    mode: Literal["auto", "required"]
    tools: tuple[FunctionChoice | CustomChoice, ...]


class AllowedChoice(msgspec.Struct, frozen=True, tag_field="type", tag="allowed_tools"):
    """Choose among some of the tools."""

    allowed_tools: Allowed


ToolChoice = Literal["none", "auto", "required"] | FunctionChoice | CustomChoice | AllowedChoice
FunctionCallChoice = Literal["none", "auto"] | Named
