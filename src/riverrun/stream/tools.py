"""Schema tools, the way out: tools for a model whose chat template knows none.

The request's tools become a text that explains them and a JSON schema that the engine's grammar enforces, and the
calls and results of the conversation become plain text. The way back is `stream.tool_answer`. Pure both ways.

    the answer's document    {"content": "…"}  or  {"tool_calls": [{"name": "…", "arguments": {…}}, …]}
"""

from __future__ import annotations

from typing import Literal

import msgspec

from riverrun.failures import bad_request
from riverrun.stream.keywords import Schema
from riverrun.stream.schemas import Place, fitted
from riverrun.wire.jsonvalue import JsonValue
from riverrun.wire.messages import AssistantMessage, FunctionToolCall, OnlyText, TextPart, ToolMessage
from riverrun.wire.options import JsonObjectResponse, JsonSchemaResponse
from riverrun.wire.request import Chat
from riverrun.wire.tools import AllowedChoice, CustomTool, Function, FunctionChoice

Body = dict[str, JsonValue]

MOST_CALLS = 8
"""Calls in one answer. A small model would otherwise go on until its context is full."""

NO_ARGUMENTS: Schema = {"type": "object", "properties": {}, "additionalProperties": False}
SHAPING = frozenset({"type", "$ref", "anyOf", "oneOf", "allOf", "enum", "const"})


class Menu(msgspec.Struct, frozen=True):
    """The functions that may be called this time, whether one must be, and how many at most."""

    functions: tuple[Function, ...]
    mode: Literal["auto", "required"]
    most: int = MOST_CALLS


def menu(chat: Chat) -> Menu | None:
    """What `tools`, `tool_choice` and `parallel_tool_calls` say together; None where no call may be made.

    Raises Failure (400) for custom tools, and for a choice of a function that is not offered.
    """
    request = chat.request
    functions = {}
    for index, tool in enumerate(request.tools or ()):
        if isinstance(tool, CustomTool):
            raise _no_custom(f"tools[{index}].type")
        functions[tool.function.name] = tool.function
    choice = request.tool_choice or "auto"
    if not functions or choice == "none":
        return None
    names, mode, named = _chosen(choice, list(functions))
    for name in names:
        if name not in functions:
            raise bad_request(f"Invalid value: '{name}' is not among the tools.", "tool_choice", "invalid_value")
    single = named or request.parallel_tool_calls is False
    return Menu(tuple(functions[name] for name in names), mode, 1 if single else MOST_CALLS)


def _chosen(choice: object, offered: list[str]) -> tuple[list[str], Literal["auto", "required"], bool]:
    """The names that a tool choice leaves, whether a call must be made, and whether it names a single one."""
    if choice == "auto":
        return offered, "auto", False
    if choice == "required":
        return offered, "required", False
    if isinstance(choice, FunctionChoice):
        return [choice.function.name], "required", True
    if isinstance(choice, AllowedChoice):
        names = [tool.function.name for tool in choice.allowed_tools.tools if isinstance(tool, FunctionChoice)]
        if len(names) == len(choice.allowed_tools.tools):
            return names, choice.allowed_tools.mode, False
    raise _no_custom("tool_choice")


def _no_custom(param: str) -> Exception:
    return bad_request("Custom tools are not supported here. Please use function tools.", param, "unsupported_value")


def explained(chat: Chat) -> Body:
    """The request's body for a model that knows no tools. Raises Failure (400) for what can't be said that way."""
    offer = menu(chat)
    body = {
        name: value for name, value in chat.body.items() if name not in ("tools", "tool_choice", "parallel_tool_calls")
    }
    messages = _as_text(chat)
    if offer is not None:
        _refuse_mixtures(chat)
        messages = _with_instructions(messages, _instructions(offer, structured=wants_json(chat)))
        schema: JsonValue = {"name": "answer", "strict": True, "schema": _answer_schema(chat, offer)}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    body["messages"] = messages
    return body


def wants_json(chat: Chat) -> bool:
    """Whether the caller's own response_format makes the content JSON."""
    return isinstance(chat.request.response_format, JsonObjectResponse | JsonSchemaResponse)


def _refuse_mixtures(chat: Chat) -> None:
    """The engine would apply these to the answer's document, and not to the content or the arguments in it."""
    for name in ("logprobs", "stop"):
        if getattr(chat.request, name):
            raise bad_request(
                f"Unsupported parameter: '{name}' can't be combined with tools on this model.",
                name,
                "unsupported_parameter",
            )


def _answer_schema(chat: Chat, offer: Menu) -> Schema:
    """The document's schema. Each function's parameters stand under `$defs`, where their own references still work."""
    definitions: dict[str, JsonValue] = {}
    calls: list[JsonValue] = []
    for number, function in enumerate(offer.functions):
        root = f"#/$defs/f{number}"
        place = Place("tools", f"function '{function.name}'", root, strict=bool(function.strict))
        definitions[f"f{number}"] = fitted(_parameters(function), place)
        calls.append(_closed({"name": {"const": function.name}, "arguments": {"$ref": root}}))
    items: JsonValue = calls[0] if len(calls) == 1 else {"anyOf": calls}
    document: JsonValue = _closed(
        {"tool_calls": {"type": "array", "items": items, "minItems": 1, "maxItems": offer.most}}
    )
    if offer.mode == "required":
        assert isinstance(document, dict)
        return {**document, "$defs": definitions}
    return {"anyOf": [_closed({"content": _content(chat, definitions)}), document], "$defs": definitions}


def _content(chat: Chat, definitions: dict[str, JsonValue]) -> JsonValue:
    wanted = chat.request.response_format
    if isinstance(wanted, JsonObjectResponse):
        return {"type": "object"}
    if isinstance(wanted, JsonSchemaResponse) and wanted.json_schema.schema is not None:
        place = Place("response_format", "response_format", "#/$defs/content", strict=bool(wanted.json_schema.strict))
        definitions["content"] = fitted(wanted.json_schema.schema, place)
        return {"$ref": place.root}
    return {} if isinstance(wanted, JsonSchemaResponse) else {"type": "string"}


def _parameters(function: Function) -> Schema:
    if function.parameters is None:
        return NO_ARGUMENTS
    return function.parameters if SHAPING & function.parameters.keys() else {"type": "object", **function.parameters}


def _closed(properties: dict[str, JsonValue]) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _instructions(offer: Menu, *, structured: bool) -> str:
    lines = ["You can call these functions:"]
    for function in offer.functions:
        schema = msgspec.json.encode(_parameters(function)).decode()
        about = f": {function.description}" if function.description else ""
        lines.append(f"- {function.name}{about}\n  arguments (JSON schema): {schema}")
    lines.append('To call: {"tool_calls": [{"name": "<function>", "arguments": {<its arguments>}}]}')
    if offer.mode == "auto":
        content = "<JSON>" if structured else '"<text>"'
        lines.append(f'To answer without a call: {{"content": {content}}}')
    lines.append("Reply with one JSON object in this form and nothing else.")
    return "\n".join(lines)


def _with_instructions(messages: list[JsonValue], text: str) -> list[JsonValue]:
    """At the end of the first message if it is a system message, else in one of their own before it."""
    first = messages[0]
    if isinstance(first, dict) and first["role"] in ("system", "developer"):
        content = first["content"]
        joined: JsonValue = (
            f"{content}\n\n{text}" if isinstance(content, str) else [*_list(content), {"type": "text", "text": text}]
        )
        return [{**first, "content": joined}, *messages[1:]]
    return [{"role": "system", "content": text}, *messages]


def _as_text(chat: Chat) -> list[JsonValue]:
    """The conversation with its calls written as the model would write them, and results as the user's words."""
    out: list[JsonValue] = []
    names: dict[str, str] = {}
    after_result = False
    for message, body in zip(chat.request.messages, _list(chat.body["messages"]), strict=True):
        if isinstance(message, AssistantMessage) and message.tool_calls is not None:
            calls = [call for call in message.tool_calls if isinstance(call, FunctionToolCall)]
            names.update((call.id, call.function.name) for call in calls)
            body = {"role": "assistant", "content": _joined(_plain(message.content), _written(calls))}
        elif isinstance(message, ToolMessage):
            result = f"Result of {names.get(message.tool_call_id, 'the call')}: {_plain(message.content)}"
            last = out[-1] if after_result else None  # results in a row are one turn: many templates alternate roles
            if isinstance(last, dict):
                last["content"] = f"{last['content']}\n{result}"
                continue
            body = {"role": "user", "content": result}
        after_result = isinstance(message, ToolMessage)
        out.append(body)
    return out


def _written(calls: list[FunctionToolCall]) -> str:
    """The calls as the document that the model would have written, its arguments as they were."""
    written = ", ".join(
        f'{{"name": "{call.function.name}", "arguments": {call.function.arguments or "{}"}}}' for call in calls
    )
    return f'{{"tool_calls": [{written}]}}'


def _joined(said: str, written: str) -> str:
    return f"{said}\n{written}" if said else written


def _plain(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list | tuple) else ()
    return "\n".join(part.text for part in parts if isinstance(part, TextPart | OnlyText))


def _list(value: JsonValue) -> list[JsonValue]:
    assert isinstance(value, list)  # the typed request says so
    return value
