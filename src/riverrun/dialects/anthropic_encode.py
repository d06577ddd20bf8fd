"""An ask as a request of the Messages API. What a row, a family or a table says is data; here is only the spelling."""

from __future__ import annotations

from collections.abc import Callable

from riverrun.dialects.alternating import (
    Answered,
    Block,
    Called,
    Document,
    Picture,
    Said,
    Ttl,
    alternating,
)
from riverrun.dialects.attachments import Data, plain
from riverrun.dialects.contract import Outgoing
from riverrun.dialects.draft import Body, Draft, carry, encoded, invalid
from riverrun.dialects.families import family, thinking, unsaid
from riverrun.dialects.goes_on import beginning
from riverrun.dialects.offer import Offer, Tool, offer, unheld
from riverrun.dialects.rows import Row
from riverrun.dialects.structured import answer_tool, closed, wanted
from riverrun.dialects.thoughts import Sealed, Thought
from riverrun.routing.target import Target
from riverrun.stream.ask import Ask
from riverrun.wire.jsonvalue import JsonValue

VERSION = ("anthropic-version", "2023-06-01")

SAID = frozenset(
    {
        "messages", "model", "max_tokens", "max_completion_tokens", "stop", "tools", "tool_choice",
        "parallel_tool_calls", "response_format", "reasoning_effort", "user",
        "safety_identifier", "service_tier", "betas",
    }
)  # fmt: skip
"""What the steps below say themselves."""

TIERS = {"auto": "auto", "default": "standard_only"}
MODES = {"auto": "auto", "required": "any", "none": "none"}
IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
CACHE: dict[Ttl, Body] = {
    "": {"type": "ephemeral"},
    "30m": {"type": "ephemeral", "ttl": "1h"},
    "12h": {"type": "ephemeral", "ttl": "1h"},  # the longest there is
}


def encode(ask: Ask, target: Target, row: Row) -> Outgoing:
    """The request for one upstream call. Raises Failure (400, with `param`) for what can't be said there."""
    draft = Draft(ask, target, row)
    carry(draft, SAID | unsaid(draft))
    for step in STEPS:
        step(draft)
    start = beginning(ask.prefill)
    if start:
        _go_on(draft, start)
    return Outgoing(row.path, encoded(draft), _headers(draft), tuple(draft.dropped))


def _messages(draft: Draft[Row]) -> None:
    talk = alternating(draft.chat)
    draft.dropped += talk.dropped
    draft.body["model"] = draft.target.model
    draft.body["stream"] = True
    if talk.system:
        draft.body["system"] = [block(said) for said in talk.system]
    draft.body["messages"] = [
        {"role": turn.role, "content": [block(each) for each in turn.blocks]} for turn in talk.turns
    ]


def _go_on(draft: Draft[Row], text: str) -> None:
    """The answer so far is the assistant's turn, which the model goes on with."""
    messages = draft.body["messages"]
    assert isinstance(messages, list)  # the step above wrote it
    messages.append({"role": "assistant", "content": [block(Said(text))]})


def _limits(draft: Draft[Row]) -> None:
    draft.body["max_tokens"] = draft.request.limit or family(draft.target.model).max_tokens
    if draft.request.stops:
        draft.body["stop_sequences"] = list(draft.request.stops)


def _tools(draft: Draft[Row]) -> None:
    offered = offer(draft.chat, answer_tool(draft.chat, draft.target))
    if offered is None:
        return
    native = family(draft.target.model).schemas == "native"
    draft.dropped += [] if native else unheld(offered, draft.chat)
    draft.body["tools"] = [_tool(tool, native) for tool in offered.tools]
    draft.body["tool_choice"] = _choice(offered)


def _tool(tool: Tool, native: bool) -> Body:
    strict = tool.strict and native
    out: Body = {"name": tool.name, "input_schema": closed(tool.parameters) if strict else tool.parameters}
    if tool.description:
        out["description"] = tool.description
    return {**out, "strict": True} if strict else out


def _choice(offered: Offer) -> Body:
    choice: Body = {"type": MODES[offered.mode]}
    if offered.name is not None:
        choice = {"type": "tool", "name": offered.name}
    return {**choice, "disable_parallel_tool_use": True} if offered.single and offered.mode != "none" else choice


def _format(draft: Draft[Row]) -> None:
    answer = wanted(draft.chat)
    if answer is not None and answer_tool(draft.chat, draft.target) is None:
        draft.put("output_config", {"format": {"type": "json_schema", "schema": closed(answer.schema)}})


def _effort(draft: Draft[Row]) -> None:
    """The caller's own `thinking` goes before the effort, which is a hint."""
    effort = draft.request.reasoning_effort
    if effort is None:
        return
    limit = draft.body["max_tokens"]
    assert isinstance(limit, int)  # an earlier step wrote it
    told = None if "thinking" in draft.body else thinking(family(draft.target.model), effort, limit)
    if told is None:
        draft.drop("reasoning_effort")
        return
    for name, value in told.items():
        draft.put(name, value)


def _about(draft: Draft[Row]) -> None:
    user = draft.request.safety_identifier or draft.request.user
    if user:
        draft.put("metadata", {"user_id": user})
    tier = draft.request.service_tier
    if tier in TIERS:
        draft.body["service_tier"] = TIERS[tier]
    elif tier is not None:
        draft.drop("service_tier")


STEPS: tuple[Callable[[Draft[Row]], None], ...] = (
    _messages, _limits, _tools, _format, _effort, _about,
)  # fmt: skip


def _headers(draft: Draft[Row]) -> tuple[tuple[str, str], ...]:
    """The version, and the caller's `betas`, which the API takes in a header alone."""
    betas = draft.chat.body.get("betas")
    if betas is None:
        return (VERSION,)
    if not isinstance(betas, list) or not all(isinstance(each, str) and _is_name(each) for each in betas):
        raise invalid("betas", "it is not a list of names of beta features")
    return (VERSION, ("anthropic-beta", ",".join(map(str, betas))))


def _is_name(text: str) -> bool:
    return text.isascii() and text.replace("-", "").isalnum()


def block(each: Block) -> Body:
    """A block in the API's words. Raises Failure (400) for an image or a file that it does not take."""
    out = SPELLINGS[type(each)](each)
    cache: Ttl | None = getattr(each, "cache", None)
    return out if cache is None else {**out, "cache_control": CACHE[cache]}


def _picture(picture: Picture) -> Body:
    source = picture.source
    if isinstance(source, str):
        return {"type": "image", "source": {"type": "url", "url": source}}
    if source.media_type not in IMAGES:
        raise invalid(picture.at, f"this model takes JPEG, PNG, GIF and WebP images, and no '{source.media_type}'")
    return {"type": "image", "source": _base64(source)}


def _document(document: Document) -> Body:
    source = document.source
    title: Body = {"title": document.name} if document.name else {}
    if isinstance(source, str):
        return {"type": "document", "source": {"type": "file", "file_id": source}, **title}
    if source.media_type == "application/pdf":
        return {"type": "document", "source": _base64(source), **title}
    if not source.media_type.startswith("text/"):
        raise invalid(document.at, f"this model takes PDF and text files, and no '{source.media_type}'")
    text: Body = {"type": "text", "media_type": "text/plain", "data": plain(source, document.at)}
    return {"type": "document", "source": text, **title}


def _base64(source: Data) -> Body:
    return {"type": "base64", "media_type": source.media_type, "data": source.base64}


def _called(call: Called) -> Body:
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}


def _answered(result: Answered) -> Body:
    texts: list[JsonValue] = [block(text) for text in result.texts]
    return {"type": "tool_result", "tool_use_id": result.id, "content": texts}


SPELLINGS: dict[type, Callable[..., Body]] = {
    Said: lambda said: {"type": "text", "text": said.text},
    Picture: _picture,
    Document: _document,
    Called: _called,
    Answered: _answered,
    Thought: lambda thought: {"type": "thinking", "thinking": thought.text, "signature": thought.signature},
    Sealed: lambda thought: {"type": "redacted_thinking", "data": thought.data},
}
