"""The deprecated function calling (`functions`, `function_call`, the role `function`) said in today's words: tools.

Only the request changes; the assembler gives `function_call` back to the caller who asked in the old words.
"""

from __future__ import annotations

import msgspec

from riverrun.failures import bad_request
from riverrun.wire.jsonvalue import JsonValue
from riverrun.wire.messages import AssistantMessage, FunctionMessage
from riverrun.wire.request import Chat, ChatRequest

Body = dict[str, JsonValue]


def is_legacy(chat: Chat) -> bool:
    """Whether any part of the request uses the deprecated words."""
    request = chat.request
    if request.functions is not None or request.function_call is not None:
        return True
    for message in request.messages:
        if type(message) is AssistantMessage:  # isinstance takes long to say that it is none
            if message.function_call is not None:
                return True
        elif type(message) is FunctionMessage:
            return True
    return False


def modern(chat: Chat) -> Chat:
    """The same request with tools, tool choice, tool calls and tool messages; itself if it uses no deprecated word.

    Raises Failure where both the old and the new words are used, or a function answers that nobody called.
    """
    if not is_legacy(chat):
        return chat
    body = dict(chat.body)
    functions, choice = body.pop("functions", None), body.pop("function_call", None)
    if isinstance(functions, list):
        _refuse_both(chat, "functions", "tools")
        body["tools"] = [{"type": "function", "function": function} for function in functions]
        body["parallel_tool_calls"] = False  # the old words have room for one call
    if choice is not None:
        _refuse_both(chat, "function_call", "tool_choice")
        body["tool_choice"] = choice if isinstance(choice, str) else {"type": "function", "function": choice}
    body["messages"] = _messages(chat)
    return msgspec.structs.replace(chat, request=msgspec.convert(body, ChatRequest), body=body)


def _refuse_both(chat: Chat, old: str, new: str) -> None:
    if chat.body.get(new) is not None:
        raise bad_request(f"'{old}' is the deprecated form of '{new}'. Please send only '{new}'.", old)


def _messages(chat: Chat) -> list[JsonValue]:
    """Every message, with ids given to the calls so that the answers can name them."""
    out: list[JsonValue] = []
    called: dict[str, str] = {}  # the id of the last call of each function
    sent = chat.body["messages"]
    assert isinstance(sent, list)  # the typed request says so
    for index, (message, body) in enumerate(zip(chat.request.messages, sent, strict=True)):
        assert isinstance(body, dict)
        if isinstance(message, AssistantMessage) and message.function_call is not None:
            call = message.function_call
            called[call.name] = f"call_{index}"
            body = {name: value for name, value in body.items() if name != "function_call"}
            function: JsonValue = {"name": call.name, "arguments": call.arguments}
            body["tool_calls"] = [{"id": called[call.name], "type": "function", "function": function}]
        elif isinstance(message, FunctionMessage):
            body = {"role": "tool", "tool_call_id": _call_id(called, message, index), "content": message.content or ""}
        out.append(body)
    return out


def _call_id(called: dict[str, str], message: FunctionMessage, index: int) -> str:
    if message.name not in called:
        raise bad_request(
            "Invalid parameter: messages with role 'function' must be a response to a preceding message with "
            f"'function_call' of the same name ({message.name!r}).",
            f"messages.[{index}].role",
        )
    return called[message.name]
