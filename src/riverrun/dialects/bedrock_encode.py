"""An ask as a ConverseStream request. What a row, a family or a table says is data; here is only the spelling.

What only one vendor's models know (thinking, `top_k`, …) goes into `additionalModelRequestFields`, as the API has it.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import msgspec

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
from riverrun.dialects.attachments import Data
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

ACCEPT = ("accept", "application/vnd.amazon.eventstream, application/json")

SAID = frozenset(
    {
        "messages", "model", "max_tokens", "max_completion_tokens", "stop", "tools", "tool_choice",
        "response_format", "reasoning_effort", "service_tier",
    }
)  # fmt: skip
"""What the steps below say themselves."""

FIELDS = "additionalModelRequestFields"
TIERS = {"default": "default", "flex": "flex", "priority": "priority"}
IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
OFFICE = "application/vnd.openxmlformats-officedocument"
DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    f"{OFFICE}.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    f"{OFFICE}.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
CACHE: dict[Ttl, Body] = {
    "": {"type": "default"},
    "30m": {"type": "default", "ttl": "1h"},
    "12h": {"type": "default", "ttl": "1h"},  # the longest there is
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
    path = row.path.format(model=quote(target.model, safe=""))
    return Outgoing(path, encoded(draft), (ACCEPT,), tuple(draft.dropped))


def _messages(draft: Draft[Row]) -> None:
    talk = alternating(draft.chat)
    draft.dropped += talk.dropped
    if talk.system:
        draft.body["system"] = _spelled(talk.system)
    draft.body["messages"] = [{"role": turn.role, "content": _spelled(turn.blocks)} for turn in talk.turns]


def _go_on(draft: Draft[Row], text: str) -> None:
    """The answer so far is the assistant's turn, which the model goes on with."""
    messages = draft.body["messages"]
    assert isinstance(messages, list)  # the step above wrote it
    messages.append({"role": "assistant", "content": [{"text": text}]})


def _limits(draft: Draft[Row]) -> None:
    """Without a limit the API takes the most that the model can give."""
    if draft.request.limit is not None:
        draft.put("inferenceConfig.maxTokens", draft.request.limit)
    if draft.request.stops:
        draft.put("inferenceConfig.stopSequences", list(draft.request.stops))


def _tools(draft: Draft[Row]) -> None:
    """There is no word for "none": then the tools are not offered."""
    offered = offer(draft.chat, answer_tool(draft.chat, draft.target))
    if offered is None or offered.mode == "none":
        return
    native = family(draft.target.model).schemas == "native"
    draft.dropped += [] if native else unheld(offered, draft.chat)
    draft.put("toolConfig.tools", [{"toolSpec": _tool(tool, native)} for tool in offered.tools])
    draft.put("toolConfig.toolChoice", _choice(offered))


def _tool(tool: Tool, native: bool) -> Body:
    strict = tool.strict and native
    schema: Body = {"json": closed(tool.parameters) if strict else tool.parameters}
    out: Body = {"name": tool.name, "inputSchema": schema}
    if tool.description:
        out["description"] = tool.description
    return {**out, "strict": True} if strict else out


def _choice(offered: Offer) -> Body:
    if offered.name is not None:
        return {"tool": {"name": offered.name}}
    return {"any": {}} if offered.mode == "required" else {"auto": {}}


def _format(draft: Draft[Row]) -> None:
    answer = wanted(draft.chat)
    if answer is None or answer_tool(draft.chat, draft.target) is not None:
        return
    schema: Body = {"name": answer.name, "schema": msgspec.json.encode(closed(answer.schema)).decode()}
    if answer.description:
        schema["description"] = answer.description
    draft.put("outputConfig.textFormat", {"type": "json_schema", "structure": {"jsonSchema": schema}})


def _effort(draft: Draft[Row]) -> None:
    """The caller's own `thinking` goes before the effort, which is a hint."""
    effort = draft.request.reasoning_effort
    if effort is None:
        return
    model = family(draft.target.model)
    told = (
        None if draft.given(f"{FIELDS}.thinking") else thinking(model, effort, draft.request.limit or model.max_tokens)
    )
    if told is None:
        draft.drop("reasoning_effort")
    elif told:
        draft.put(FIELDS, told)


def _tier(draft: Draft[Row]) -> None:
    tier = draft.request.service_tier
    if tier in TIERS:
        draft.put("serviceTier", {"type": TIERS[tier]})
    elif tier not in (None, "auto"):
        draft.drop("service_tier")


STEPS: tuple[Callable[[Draft[Row]], None], ...] = (
    _messages, _limits, _tools, _format, _effort, _tier,
)  # fmt: skip


def _spelled(blocks: tuple[Block, ...] | tuple[Said, ...]) -> list[JsonValue]:
    """Blocks in the API's words, a cache point after each that ends a prefix. Raises Failure (400)."""
    out: list[JsonValue] = []
    for number, each in enumerate(blocks):
        out.append(SPELLINGS[type(each)](each, number))
        cache: Ttl | None = getattr(each, "cache", None)
        if cache is not None:
            out.append({"cachePoint": CACHE[cache]})
    return out


def _picture(picture: Picture, number: int) -> Body:
    source = picture.source
    if isinstance(source, str):
        raise invalid(picture.at, "this model takes images as 'data:' URLs only")
    if source.media_type not in IMAGES:
        raise invalid(picture.at, f"this model takes JPEG, PNG, GIF and WebP images, and no '{source.media_type}'")
    return {"image": {"format": IMAGES[source.media_type], "source": _bytes(source)}}


def _document(document: Document, number: int) -> Body:
    """A document's name is neutral: the API lets few characters be in it, and the model reads it."""
    source = document.source
    if isinstance(source, str):
        raise invalid(document.at, "this model takes files as 'file_data', and no ids of uploaded ones")
    if source.media_type not in DOCUMENTS:
        raise invalid(document.at, f"this model takes no files of type '{source.media_type}'")
    name = f"Document {number + 1}"
    return {"document": {"format": DOCUMENTS[source.media_type], "name": name, "source": _bytes(source)}}


def _bytes(source: Data) -> Body:
    return {"bytes": source.base64}


def _called(call: Called, number: int) -> Body:
    return {"toolUse": {"toolUseId": call.id, "name": call.name, "input": call.arguments}}


def _answered(result: Answered, number: int) -> Body:
    """Cache points stand between blocks of a message alone, so that a result's own are left out."""
    texts: list[JsonValue] = [{"text": text.text} for text in result.texts]
    return {"toolResult": {"toolUseId": result.id, "content": texts, "status": "success"}}


def _thought(thought: Thought, number: int) -> Body:
    return {"reasoningContent": {"reasoningText": {"text": thought.text, "signature": thought.signature}}}


SPELLINGS: dict[type, Callable[..., Body]] = {
    Said: lambda said, number: {"text": said.text},
    Picture: _picture,
    Document: _document,
    Called: _called,
    Answered: _answered,
    Thought: _thought,
    Sealed: lambda thought, number: {"reasoningContent": {"redactedContent": thought.data}},
}
