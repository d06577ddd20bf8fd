"""The tools of a request and the choice among them, said once for the APIs that name them differently."""

from __future__ import annotations

from typing import Literal

import msgspec

from riverrun.dialects.structured import Wanted
from riverrun.stream.tools import SHAPING, menu
from riverrun.wire.jsonvalue import JsonObject
from riverrun.wire.options import JsonSchemaResponse
from riverrun.wire.request import Chat
from riverrun.wire.tools import AllowedChoice, Function, FunctionChoice, FunctionTool

NO_ARGUMENTS: JsonObject = {"type": "object", "properties": {}}


class Tool(msgspec.Struct, frozen=True):
    """A function as every API takes it: `parameters` is always an object's JSON Schema."""

    name: str
    description: str | None
    parameters: JsonObject
    strict: bool


class Offer(msgspec.Struct, frozen=True):
    """The tools, and the choice: a mode, or the `name` of the one that must be called. `single`: at most one call."""

    tools: tuple[Tool, ...]
    mode: Literal["none", "auto", "required"]
    name: str | None = None
    single: bool = False


def offer(chat: Chat, answer: Wanted | None = None) -> Offer | None:
    """What the request offers; None where it offers nothing. `answer` is a tool that stands for the answer.

    Raises Failure (400) for custom tools, and for a choice of a tool that is not offered.
    """
    request = chat.request
    open_now = menu(chat)
    functions = [tool.function for tool in request.tools or () if isinstance(tool, FunctionTool)]
    if isinstance(request.tool_choice, AllowedChoice) and open_now is not None:
        functions = list(open_now.functions)
    tools = tuple(_tool(function) for function in functions)
    single = request.parallel_tool_calls is False
    if answer is not None:
        answers = Tool(answer.name, answer.description, answer.schema, strict=False)
        if open_now is None:
            return Offer((*tools, answers), "required", answer.name, single=True)
        tools = (*tools, answers)
    if not tools:
        return None
    if open_now is None:
        return Offer(tools, "none")
    name = request.tool_choice.function.name if isinstance(request.tool_choice, FunctionChoice) else None
    return Offer(tools, "required" if answer is not None else open_now.mode, name, single)


def unheld(offered: Offer, chat: Chat) -> list[str]:
    """The names of the guarantees that a model can't give which holds no arguments to their schema."""
    names = [f"tools[{index}].function.strict" for index, tool in enumerate(offered.tools) if tool.strict]
    form = chat.request.response_format
    promised = isinstance(form, JsonSchemaResponse) and bool(form.json_schema.strict)
    return [*names, "response_format.json_schema.strict"] if promised else names


def _tool(function: Function) -> Tool:
    parameters = function.parameters or NO_ARGUMENTS
    shaped: JsonObject = parameters if SHAPING & parameters.keys() else {"type": "object", **parameters}
    return Tool(function.name, function.description, shaped, bool(function.strict))
