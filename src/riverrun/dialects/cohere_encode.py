"""An ask as a request to Cohere's v2 chat: near to OpenAI's, with narrower ranges and a plan before its calls.

What would change the meaning and can't be said is a 400 that names the parameter; a mere hint is left out, and named.
The form is https://docs.cohere.com/reference/chat-stream.
"""

from __future__ import annotations

from collections.abc import Callable

from riverrun.dialects.contract import Outgoing
from riverrun.dialects.draft import Body, Draft, carry, effort, encoded, invalid
from riverrun.dialects.history import calls, no_such_part, said, text, thought, turns
from riverrun.dialects.rows import Row
from riverrun.routing.target import Target
from riverrun.stream.ask import Ask
from riverrun.wire.jsonvalue import JsonValue
from riverrun.wire.messages import AssistantMessage, ImagePart, TextPart, ToolMessage, UserMessage
from riverrun.wire.options import JsonObjectResponse, JsonSchemaResponse
from riverrun.wire.tools import Function, FunctionTool

SAID = frozenset(
    {
        "messages", "model", "tools", "tool_choice", "response_format", "reasoning_effort", "max_completion_tokens",
        "max_tokens", "stop", "seed", "top_p", "frequency_penalty", "presence_penalty",
    }
)  # fmt: skip

SEEDS = 2**63
"""A seed has no sign there."""

LEAST_P, MOST_P = 0.01, 0.99
"""What `p` may be; 0 and 1 are said by the nearest of them."""

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
    out: list[JsonValue] = []
    for at, message, body in turns(draft.chat):
        if getattr(message, "name", None) is not None:
            draft.drop("messages.name")
        role = str(body["role"])
        sent: Body = {"role": draft.row.roles.get(role, role)}
        match message:
            case UserMessage():
                sent["content"] = _content(draft, at, message)
            case AssistantMessage():
                sent.update(_answered(at, message, body))
            case ToolMessage():
                sent.update(tool_call_id=message.tool_call_id, content=text(message.content))
            case _:
                sent["content"] = text(message.content)
        out.append(sent)
    draft.put("messages", out)


def _content(draft: _Draft, at: str, message: UserMessage) -> JsonValue:
    if isinstance(message.content, str):
        return message.content
    out: list[JsonValue] = []
    for number, part in enumerate(message.content):
        if part.prompt_cache_breakpoint is not None:
            draft.drop("prompt_cache_breakpoint")
        match part:
            case TextPart():
                out.append({"type": "text", "text": part.text})
            case ImagePart():
                out.append({"type": "image_url", "image_url": _image(part)})
            case _:
                raise no_such_part(f"{at}.content[{number}]", str(part.__struct_config__.tag))
    return out


def _image(part: ImagePart) -> Body:
    image: Body = {"url": part.image_url.url}
    return image if part.image_url.detail is None else {**image, "detail": part.image_url.detail}


def _answered(at: str, message: AssistantMessage, body: Body) -> Body:
    """What the model thought before it called is its plan; before it spoke, its thinking."""
    if message.audio is not None:
        raise invalid(f"{at}.audio", "an earlier answer in sound can't be given to this model")
    words, thoughts = said(message), thought(body)
    called = calls(message, at)
    if called:
        functions: list[JsonValue] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.function.name, "arguments": call.function.arguments or "{}"},
            }
            for call in called
        ]
        plan = "\n".join(filter(None, (thoughts, words)))
        return {"tool_calls": functions, **({"tool_plan": plan} if plan else {})}
    if thoughts:
        return {"content": [{"type": "thinking", "thinking": thoughts}, {"type": "text", "text": words}]}
    return {"content": words}


def _tools(draft: _Draft) -> None:
    """It can be told to call and not to, and no names: so it is shown the named ones alone."""
    functions = [tool.function for tool in draft.request.tools or () if isinstance(tool, FunctionTool)]
    if not functions:
        return
    offer = draft.menu
    if offer is None:
        draft.put("tool_choice", "NONE")
    elif offer.mode == "required":
        draft.put("tool_choice", "REQUIRED")
    shown = functions if offer is None else offer.functions
    draft.put("tools", [_declared(function) for function in shown])
    if any(function.strict for function in shown):
        draft.put("strict_tools", True)


def _declared(function: Function) -> Body:
    out: Body = {"name": function.name, "parameters": function.parameters or {"type": "object", "properties": {}}}
    if function.description is not None:
        out["description"] = function.description
    return {"type": "function", "function": out}


def _format(draft: _Draft) -> None:
    wanted = draft.request.response_format
    if isinstance(wanted, JsonObjectResponse | JsonSchemaResponse):
        draft.put("response_format", {"type": "json_object"})
    if isinstance(wanted, JsonSchemaResponse) and wanted.json_schema.schema is not None:
        draft.put("response_format", {"json_schema": wanted.json_schema.schema})


def _limits(draft: _Draft) -> None:
    request = draft.request
    if request.limit is not None:
        draft.put("max_tokens", request.limit)
    if request.stops:
        draft.put("stop_sequences", list(request.stops))
    if request.seed is not None:
        draft.put("seed", request.seed % SEEDS)
    if request.top_p is not None:
        draft.put("p", min(max(request.top_p, LEAST_P), MOST_P))
    _penalty(draft, "frequency_penalty", request.frequency_penalty)
    _penalty(draft, "presence_penalty", request.presence_penalty)


def _penalty(draft: _Draft, name: str, value: float | None) -> None:
    if value is None:
        return
    if not 0 <= value <= 1:
        raise invalid(name, f"the model '{draft.target.name}' takes penalties from 0 to 1, but got {value} instead")
    draft.put(name, value)


def _thinking(draft: _Draft) -> None:
    """The caller's own `thinking` goes before an effort."""
    if draft.given("thinking"):
        if draft.request.reasoning_effort is not None:
            draft.drop("reasoning_effort")
        return
    told = effort(draft)
    if told:
        draft.put("thinking", told)


STEPS: tuple[Callable[[_Draft], None], ...] = (_messages, _tools, _format, _limits, _thinking)
