"""A conversation as the items of a Responses request: messages, calls, their results, and encrypted thoughts."""

from __future__ import annotations

import msgspec

from riverrun.failures import Failure, bad_request
from riverrun.routing.target import Target
from riverrun.wire.jsonvalue import JsonValue
from riverrun.wire.messages import (
    AssistantMessage,
    AudioPart,
    CustomToolCall,
    FilePart,
    FunctionToolCall,
    ImagePart,
    Message,
    OnlyText,
    RefusalPart,
    TextPart,
    ToolMessage,
)
from riverrun.wire.request import Chat

Body = dict[str, JsonValue]

ENCRYPTED, FORMAT = "reasoning.encrypted", "openai-responses-v1"
"""How a thought of this API is marked among `reasoning_details`, on its way out and on its way back."""

OUTPUTS = {"function_call": "function_call_output", "custom_tool_call": "custom_tool_call_output"}


class Input:
    """The items of a chat (without deprecated words), and the names that found no place among them.

    Raises Failure (400, with `param`) for a part that the API does not take.
    """

    def __init__(self, chat: Chat, target: Target) -> None:
        self.items: list[JsonValue] = []
        self.dropped: list[str] = []
        self._target = target
        self._kinds: dict[str, str] = {}  # of the calls, by id
        sent = chat.body["messages"]
        assert isinstance(sent, list)  # the typed request says so
        for index, (message, body) in enumerate(zip(chat.request.messages, sent, strict=True)):
            assert isinstance(body, dict)
            self._message(message, body, f"messages[{index}]")

    def _message(self, message: Message, body: Body, at: str) -> None:
        if body.get("name") is not None:
            self.dropped.append(f"{at}.name")
        if isinstance(message, AssistantMessage):
            self._answer(message, body.get("reasoning_details"), at)
        elif isinstance(message, ToolMessage):
            kind = OUTPUTS[self._kinds.get(message.tool_call_id, "function_call")]
            output = self._content(message.content, at)
            self.items.append({"type": kind, "call_id": message.tool_call_id, "output": output})
        else:
            self.items.append({"role": body["role"], "content": self._content(message.content, at)})

    def _answer(self, message: AssistantMessage, details: JsonValue, at: str) -> None:
        """What the model thought, said and called, in this order."""
        if message.audio is not None:
            raise _invalid(f"{at}.audio", "an earlier answer in sound can't be given to this model")
        self.items += _thoughts(details)
        if content := _spoken(message):
            self.items.append({"role": "assistant", "content": content})
        self.items += [self._call(call) for call in message.tool_calls or ()]

    def _call(self, call: FunctionToolCall | CustomToolCall) -> JsonValue:
        if isinstance(call, CustomToolCall):
            self._kinds[call.id] = "custom_tool_call"
            return {
                "type": "custom_tool_call",
                "call_id": call.id,
                "name": call.custom.name,
                "input": call.custom.input,
            }
        function = call.function
        return {
            "type": "function_call",
            "call_id": call.id,
            "name": function.name,
            "arguments": function.arguments or "{}",
        }

    def _content(self, content: object, at: str) -> JsonValue:
        if isinstance(content, str):
            return content
        assert isinstance(content, tuple)
        return [self._part(part, f"{at}.content[{number}]") for number, part in enumerate(content)]

    def _part(self, part: TextPart | OnlyText | ImagePart | AudioPart | FilePart, at: str) -> JsonValue:
        if isinstance(part, AudioPart):
            raise _invalid(at, f"the model '{self._target.name}' takes no content of type 'input_audio'")
        out = _written(part)
        if part.prompt_cache_breakpoint is not None:
            out["prompt_cache_breakpoint"] = _known(part.prompt_cache_breakpoint)
        return out


def _written(part: TextPart | OnlyText | ImagePart | FilePart) -> Body:
    if isinstance(part, ImagePart):
        image = part.image_url
        return {"type": "input_image", "image_url": image.url, "detail": image.detail or "auto"}
    if isinstance(part, FilePart):
        return {"type": "input_file", **_known(part.file)}
    return {"type": "input_text", "text": part.text}


def _thoughts(details: JsonValue) -> list[JsonValue]:
    """The thoughts that this API gave out, to be put before what came of them. Those of others are left out."""
    return [
        {"type": "reasoning", "id": detail["id"], "encrypted_content": detail["data"], "summary": []}
        for detail in (details if isinstance(details, list) else ())
        if isinstance(detail, dict)
        and (detail.get("type"), detail.get("format")) == (ENCRYPTED, FORMAT)
        and isinstance(detail.get("id"), str)
        and isinstance(detail.get("data"), str)
    ]


def _spoken(message: AssistantMessage) -> JsonValue:
    content = message.content
    if isinstance(content, str) and message.refusal is None:
        return content
    parts = (TextPart(content),) if isinstance(content, str) else content or ()
    spoken: list[JsonValue] = [
        {"type": "refusal", "refusal": part.refusal}
        if isinstance(part, RefusalPart)
        else {"type": "output_text", "text": part.text}
        for part in parts
        if isinstance(part, RefusalPart) or part.text
    ]
    return spoken + ([{"type": "refusal", "refusal": message.refusal}] if message.refusal is not None else [])


def _known(struct: msgspec.Struct) -> Body:
    return {name: value for name, value in msgspec.to_builtins(struct).items() if value is not None}


def _invalid(param: str, why: str) -> Failure:
    return bad_request(f"Invalid '{param}': {why}.", param, "invalid_value")
