"""An ask as a Responses request. It is written anew, because the two APIs agree in their names and not in their shapes.

What would change the meaning and can't be said is a 400 that names the parameter; what is a mere hint is left out,
and named. Nothing is stored there: the conversation is sent whole, with the model's own thoughts encrypted.
"""

from __future__ import annotations

import msgspec

from riverrun.dialects.contract import Outgoing
from riverrun.dialects.responses_input import Input
from riverrun.dialects.rows import Row
from riverrun.failures import Cause, Failure, bad_request
from riverrun.routing.target import Target
from riverrun.stream.ask import Ask
from riverrun.stream.legacy import modern
from riverrun.stream.tools import menu
from riverrun.wire.jsonvalue import JsonValue
from riverrun.wire.options import JsonSchemaResponse, ResponseFormat, WebSearchOptions
from riverrun.wire.request import Chat, ChatRequest
from riverrun.wire.tools import AllowedChoice, CustomTool, Function, FunctionChoice, Tool

Body = dict[str, JsonValue]

CARRIED = (
    "temperature", "top_p", "top_logprobs", "parallel_tool_calls", "metadata", "user", "safety_identifier",
    "service_tier", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
)  # fmt: skip
"""Parameters that both APIs have under one name and in one shape."""

THOUGHTS = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"
ANY_OBJECT: JsonValue = {"type": "object", "properties": {}}


def encode(ask: Ask, target: Target, row: Row) -> Outgoing:
    """The request for one upstream call. Raises Failure (400, with `param`) for what can't be said there."""
    chat = modern(ask.chat)
    _refuse(ask, chat, target, row)
    extra = {name: chat.body[name] for name in chat.extra if row.extra == "any" or name in row.extra}
    said = Input(chat, target)
    body: Body = {name: chat.body[name] for name in CARRIED if chat.body.get(name) is not None}
    body |= {"model": target.model, "input": said.items, **_limit(chat.request), **_tools(chat.request), **extra}
    body |= _merged(extra, "text", _text(chat.request))
    body |= _merged(extra, "reasoning", _reasoning(chat.request))
    body["include"] = _include(extra.get("include"), chat.request)
    body |= {"store": False, "stream": True, "stream_options": {"include_obfuscation": False}, **row.constants}
    path = row.path.format(model=target.model)
    return Outgoing(path, msgspec.json.encode(body), dropped=(*_hints(chat, row), *said.dropped))


def _refuse(ask: Ask, chat: Chat, target: Target, row: Row) -> None:
    for name in row.refused:
        if chat.body.get(name) is not None:
            raise _unsupported(name, target)
    menu(chat)  # custom tools have no place in the stream's alphabet
    if ask.prefill:
        raise Failure(Cause.INTERNAL, "An answer was to be gone on with by an upstream that can't do that.")


def _hints(chat: Chat, row: Row) -> list[str]:
    """What is left out without a change of meaning."""
    hints = [name for name in row.dropped if chat.body.get(name) is not None]
    return hints + [name for name in chat.extra if row.extra != "any" and name not in row.extra]


def _limit(request: ChatRequest) -> Body:
    return {} if request.limit is None else {"max_output_tokens": request.limit}


def _tools(request: ChatRequest) -> Body:
    tools = [_function(tool) for tool in request.tools or ()]
    if request.web_search_options is not None:
        tools.append(_web_search(request.web_search_options))
    choice = request.tool_choice
    out: Body = {"tools": tools} if tools else {}
    if choice is not None:
        out["tool_choice"] = choice if isinstance(choice, str) else _choice(choice)
    return out


def _function(tool: Tool) -> JsonValue:
    assert not isinstance(tool, CustomTool)  # the menu refused them
    function: Function = tool.function
    out: Body = {"type": "function", "name": function.name, "parameters": function.parameters or ANY_OBJECT}
    if function.description is not None:
        out["description"] = function.description
    out["strict"] = bool(function.strict)  # absent, it is false in the one API and true in the other
    return out


def _web_search(options: WebSearchOptions) -> JsonValue:
    out: Body = {"type": "web_search"}
    if options.search_context_size is not None:
        out["search_context_size"] = options.search_context_size
    if options.user_location is not None:
        place = msgspec.to_builtins(options.user_location.approximate)
        out["user_location"] = {"type": "approximate", **{name: value for name, value in place.items() if value}}
    return out


def _choice(choice: object) -> JsonValue:
    if isinstance(choice, FunctionChoice):
        return {"type": "function", "name": choice.function.name}
    assert isinstance(choice, AllowedChoice)  # the menu refused the others
    allowed = choice.allowed_tools
    return {"type": "allowed_tools", "mode": allowed.mode, "tools": [_choice(tool) for tool in allowed.tools]}


def _text(request: ChatRequest) -> Body:
    out: Body = {}
    if request.response_format is not None:
        out["format"] = _format(request.response_format)
    if request.verbosity is not None:
        out["verbosity"] = request.verbosity
    return out


def _format(wanted: ResponseFormat) -> JsonValue:
    if not isinstance(wanted, JsonSchemaResponse):
        format: JsonValue = msgspec.to_builtins(wanted)
        return format
    named = wanted.json_schema
    out: Body = {"type": "json_schema", "name": named.name, "schema": named.schema or {}}
    if named.description is not None:
        out["description"] = named.description
    out["strict"] = bool(named.strict)
    return out


def _reasoning(request: ChatRequest) -> Body:
    return {} if request.reasoning_effort is None else {"effort": request.reasoning_effort}


def _merged(extra: Body, name: str, ours: Body) -> Body:
    """What the caller's own words become, with the members beside them that only this API has."""
    theirs = extra.get(name)
    return {name: {**(theirs if isinstance(theirs, dict) else {}), **ours}} if ours else {}


def _include(theirs: JsonValue, request: ChatRequest) -> JsonValue:
    wanted = list(theirs) if isinstance(theirs, list) else []
    ours = [THOUGHTS, *([LOGPROBS] if request.logprobs else [])]
    return wanted + [name for name in ours if name not in wanted]


def _unsupported(param: str, target: Target) -> Failure:
    message = f"Unsupported parameter: '{param}' is not supported with the model '{target.name}'. Please leave it out."
    return bad_request(message, param, "unsupported_parameter")
