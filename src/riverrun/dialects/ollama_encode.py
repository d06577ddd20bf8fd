"""An ask as a request to Ollama's own /api/chat: its messages with pictures beside them, its options, its tools.

What would change the meaning and can't be said is a 400 that names the parameter; a mere hint is left out, and named.
The form is https://docs.ollama.com/api/chat.
"""

from __future__ import annotations

from collections.abc import Callable

from riverrun.dialects.attachments import pictured
from riverrun.dialects.contract import Outgoing
from riverrun.dialects.draft import Body, Draft, carry, effort, encoded, invalid
from riverrun.dialects.history import arguments, calls, names, no_such_part, said, text, thought, turns
from riverrun.dialects.rows import Row
from riverrun.routing.target import Target
from riverrun.stream.ask import Ask
from riverrun.wire.jsonvalue import JsonValue
from riverrun.wire.messages import AssistantMessage, ImagePart, TextPart, ToolMessage, UserMessage
from riverrun.wire.options import JsonObjectResponse, JsonSchemaResponse

SAID = frozenset(
    {
        "messages", "model", "tools", "tool_choice", "response_format", "reasoning_effort", "max_completion_tokens",
        "max_tokens", "stop", "seed",
    }
)  # fmt: skip

SEEDS = 2**31
"""A seed below 0 means a random one."""

_Draft = Draft[Row]


def encode(ask: Ask, target: Target, row: Row) -> Outgoing:
    """The request for one upstream call. Raises Failure (400, with `param`) for what can't be said there."""
    draft = Draft(ask, target, row)
    draft.put("model", target.model)
    carry(draft, SAID)
    for step in STEPS:
        step(draft)
    return Outgoing(row.path, encoded(draft), dropped=tuple(draft.dropped))


def _messages(draft: _Draft) -> None:
    called = names(draft.chat)
    out: list[JsonValue] = []
    for at, message, body in turns(draft.chat):
        if getattr(message, "name", None) is not None:
            draft.drop("messages.name")
        role = str(body["role"])
        sent: Body = {"role": draft.row.roles.get(role, role), "content": text(message.content)}
        match message:
            case UserMessage():
                sent.update(_pictures(draft, at, message))
            case AssistantMessage():
                sent.update(_answered(at, message, body))
            case ToolMessage():
                sent["tool_call_id"] = message.tool_call_id
                sent["tool_name"] = called.get(message.tool_call_id, "")
        out.append(sent)
    draft.put("messages", out)


def _pictures(draft: _Draft, at: str, message: UserMessage) -> Body:
    """The pictures of a message stand beside its text, as base64."""
    images: list[JsonValue] = []
    for number, part in enumerate(message.content if not isinstance(message.content, str) else ()):
        if part.prompt_cache_breakpoint is not None:
            draft.drop("prompt_cache_breakpoint")
        if isinstance(part, ImagePart):
            images.append(_picture(draft, f"{at}.content[{number}]", part))
        elif not isinstance(part, TextPart):
            raise no_such_part(f"{at}.content[{number}]", str(part.__struct_config__.tag))
    return {"images": images} if images else {}


def _picture(draft: _Draft, at: str, part: ImagePart) -> str:
    if part.image_url.detail not in (None, "auto"):
        draft.drop("image_url.detail")
    held = pictured(part.image_url.url, at)
    if isinstance(held, str):
        raise invalid(at, "this model takes images as 'data:' URLs only")
    return held.base64


def _answered(at: str, message: AssistantMessage, body: Body) -> Body:
    if message.audio is not None:
        raise invalid(f"{at}.audio", "an earlier answer in sound can't be given to this model")
    out: Body = {"content": said(message)}
    if thoughts := thought(body):
        out["thinking"] = thoughts
    called: list[JsonValue] = []
    for number, call in enumerate(calls(message, at)):
        args = arguments(call, f"{at}.tool_calls[{number}].function.arguments")
        function: Body = {"index": number, "name": call.function.name, "arguments": args}
        called.append({"id": call.id, "function": function})
    return {**out, "tool_calls": called} if called else out


def _tools(draft: _Draft) -> None:
    """It can't be told to call: that is refused. It can't be told not to: then it is shown no tools."""
    offer = draft.menu
    if offer is None:
        return
    if offer.mode == "required":
        raise invalid("tool_choice", f"the model '{draft.target.name}' can't be made to call a tool; send 'auto'")
    tools: list[JsonValue] = []
    for function in offer.functions:
        if function.strict:
            draft.drop("tools.function.strict")
        declared: Body = {"name": function.name, "description": function.description or ""}
        declared["parameters"] = function.parameters or {"type": "object", "properties": {}}
        tools.append({"type": "function", "function": declared})
    draft.put("tools", tools)


def _format(draft: _Draft) -> None:
    wanted = draft.request.response_format
    if isinstance(wanted, JsonSchemaResponse) and wanted.json_schema.schema is not None:
        draft.put("format", wanted.json_schema.schema)
    elif isinstance(wanted, JsonObjectResponse | JsonSchemaResponse):
        draft.put("format", "json")


def _limits(draft: _Draft) -> None:
    request = draft.request
    if request.limit is not None:
        draft.put("options.num_predict", request.limit)
    if request.stops:
        draft.put("options.stop", list(request.stops))
    if request.seed is not None:
        draft.put("options.seed", request.seed % SEEDS)


def _thinking(draft: _Draft) -> None:
    for name, value in (effort(draft) or {}).items():
        draft.put(name, value)


STEPS: tuple[Callable[[_Draft], None], ...] = (_messages, _tools, _format, _limits, _thinking)
