"""An ask as a Chat Completions request: the caller's own body, changed only where the target's row says so.

It starts from the body as sent, so that what riverrun does not know travels on. What would change the meaning and
can't be said is a 400 that names the parameter; what is a mere hint is left out, and named.
"""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import quote

import msgspec

from riverrun.dialects.contract import Outgoing
from riverrun.dialects.openai_history import go_on, taken_back
from riverrun.dialects.prompt_size import refuse_hopeless
from riverrun.dialects.ranges import refuse_out_of_range
from riverrun.dialects.rows import Row
from riverrun.failures import Failure, bad_request
from riverrun.routing.target import Target
from riverrun.stream.ask import Ask
from riverrun.stream.legacy import modern
from riverrun.stream.schemas import Place, fitted
from riverrun.stream.tools import explained, menu
from riverrun.wire.jsonvalue import JsonValue
from riverrun.wire.options import JsonSchemaResponse
from riverrun.wire.request import Chat

Body = dict[str, JsonValue]

LARGEST_SEED = 2**32 - 1
"""The largest unsigned 32-bit seed. llama.cpp takes it for "draw one", so it is never sent."""

MOST = 2**31 - 1
"""The largest number of tokens that 32 bits hold."""

MODALITIES = {"image_url": "image", "input_audio": "audio", "file": "file"}
"""What a content part that is not text asks of a model."""


class _Draft(msgspec.Struct):
    """The request while it is written: `body` is ours to change, the rest is only read."""

    chat: Chat
    target: Target
    row: Row
    body: Body
    dropped: list[str]

    def drop(self, name: str) -> None:
        if name in self.body:
            del self.body[name]
            self.dropped.append(name)


def encode(ask: Ask, target: Target, row: Row) -> Outgoing:
    """The request for one upstream call. Raises Failure (400, with `param`) for what can't be said there."""
    chat = ask.chat if row.functions and target.tools == "native" else modern(ask.chat)
    body = chat.body.copy()
    if None in body.values():
        body = {name: value for name, value in body.items() if value is not None}
    draft = _Draft(chat, target, row, body, [])
    _refuse(draft)
    _leave_out(draft)
    if target.tools == "schema" or row.tool_choice != "any":
        _tools(draft)
    if row.schemas != "any":
        _schema(draft)
    if row.roles or row.thoughts is not None or row.parts != "any":
        _messages(draft)
    _sampling(draft)
    if row.effort is not None:
        _effort(draft)
    _stream(draft, ask)
    return Outgoing(_path(row.path, target.model), msgspec.json.encode(body), (), tuple(draft.dropped))


@lru_cache(maxsize=1024)
def _path(form: str, model: str) -> str:
    return form.format(model=quote(model, safe=""))


def _refuse(draft: _Draft) -> None:
    row, request = draft.row, draft.chat.request
    for name in row.refused:
        if draft.body.pop(name, False) not in (False, 0):  # `logprobs: false` asks for nothing
            raise _unsupported(name, draft.target)
    if row.parts == "target" and "audio" in (request.modalities or ()):
        raise _unsupported("modalities", draft.target)
    if row.ranges:
        refuse_out_of_range(draft.body, row.ranges, draft.target.context)
    if row.longest_token:
        refuse_hopeless(draft.body["messages"], row.longest_token, draft.target.context)
    if request.tools:
        menu(draft.chat)  # custom tools have no place in the stream's alphabet, so no row takes them


def _leave_out(draft: _Draft) -> None:
    row, body = draft.row, draft.body
    for name in row.dropped:
        draft.drop(name)
    if draft.chat.extra and row.extra != "any":
        for name in draft.chat.extra:
            if name not in row.extra:
                draft.drop(name)
    for name in row.ours:
        if name in body:
            del body[name]


def _tools(draft: _Draft) -> None:
    if draft.target.tools == "schema":
        written = explained(draft.chat)
        draft.body["messages"] = written["messages"]
        for name in ("tools", "tool_choice", "parallel_tool_calls"):
            draft.body.pop(name, None)
        if "response_format" in written and written["response_format"] is not None:
            draft.body["response_format"] = written["response_format"]
    elif draft.row.tool_choice == "words":
        _choice_in_words(draft)
    elif draft.row.tool_choice == "auto":
        _choice_by_offer(draft)


def _choice_by_offer(draft: _Draft) -> None:
    """For an upstream that always chooses itself: `none` is no tools, and a call can't be asked for."""
    offer = menu(draft.chat)
    if offer is not None and offer.mode == "required":
        raise _unsupported("tool_choice", draft.target)
    _choice_in_words(draft)
    for name in ("tool_choice",) if offer is not None else ("tool_choice", "tools"):
        draft.body.pop(name, None)


def _choice_in_words(draft: _Draft) -> None:
    """A named function, or a list of allowed ones, for an upstream that knows none, auto and required alone."""
    offer = menu(draft.chat)
    if offer is None or not isinstance(draft.body.get("tool_choice"), dict):
        return
    names = {function.name for function in offer.functions}
    tools = draft.body["tools"]
    assert isinstance(tools, list)  # the typed request says so
    offered = zip(draft.chat.request.tools or (), tools, strict=True)
    draft.body["tools"] = [body for tool, body in offered if tool.name in names]
    draft.body["tool_choice"] = offer.mode
    if offer.most == 1:
        draft.body["parallel_tool_calls"] = False


def _schema(draft: _Draft) -> None:
    """The caller's own response schema, made fit for the grammar. (One made of tools is already.)"""
    wanted = draft.chat.request.response_format
    ours = draft.target.tools == "schema" and menu(draft.chat) is not None
    if draft.row.schemas == "any" or ours or not isinstance(wanted, JsonSchemaResponse):
        return
    schema = wanted.json_schema.schema
    if schema is not None:
        place = Place("response_format", "response_format", strict=bool(wanted.json_schema.strict))
        json_schema: JsonValue = {"name": wanted.json_schema.name, "schema": fitted(schema, place)}
        draft.body["response_format"] = {"type": "json_schema", "json_schema": json_schema}


def _messages(draft: _Draft) -> None:
    messages = draft.body["messages"]
    assert isinstance(messages, list)  # the typed request says so
    draft.body["messages"] = [
        _message(body, f"messages[{index}]", draft) if isinstance(body, dict) else body
        for index, body in enumerate(messages)
    ]


def _message(body: Body, at: str, draft: _Draft) -> Body:
    role = body["role"]
    out = {**body, "role": draft.row.roles.get(role, role)} if isinstance(role, str) else body
    if role == "assistant" and draft.row.thoughts is not None:
        out = taken_back(out, draft.row.thoughts)
    if draft.row.parts == "any":
        return out
    if out.get("audio") is not None:
        raise _invalid(f"{at}.audio", "an earlier answer in sound can't be given to this model")
    content = out.get("content")
    if isinstance(content, list):
        out["content"] = [_part(part, f"{at}.content[{number}]", draft) for number, part in enumerate(content)]
    if isinstance(refusal := out.pop("refusal", None), str) and not content and not out.get("tool_calls"):
        out["content"] = refusal  # chat templates know no refusal: it was what the model said
    return out


def _part(part: JsonValue, at: str, draft: _Draft) -> JsonValue:
    if not isinstance(part, dict):
        return part
    kind = part["type"]
    if kind == "refusal":
        return {"type": "text", "text": part["refusal"]}
    modality = MODALITIES.get(kind) if isinstance(kind, str) else None
    if modality is None:
        return part
    if modality not in draft.target.modalities:
        raise _invalid(at, f"the model '{draft.target.name}' takes no content of type '{kind}'")
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, dict) else None
    if isinstance(url, str) and not url.startswith("data:"):
        # SEC1: the engine would fetch an address, or open a file, that the request names
        raise _invalid(at, "this model takes images as 'data:' URLs only")
    return part


def _sampling(draft: _Draft) -> None:
    body, row, request = draft.body, draft.row, draft.chat.request
    if "stop" in body:
        _stops(draft)
    for old, new in row.rename.items():
        if old in body:
            body[new] = body.pop(old)
    for name in row.clamped:
        if isinstance(value := body.get(name), int):
            body[name] = min(value, draft.target.context or MOST)
    for name, value in draft.target.sampling:
        body.setdefault(name, value)
    if row.seed == "uint32" and request.seed is not None:
        body["seed"] = request.seed % LARGEST_SEED
    if request.logprobs and row.least_top_logprobs:
        body["top_logprobs"] = max(request.top_logprobs or 0, row.least_top_logprobs)
    if request.logit_bias:
        _refuse_unknown_tokens(draft)


def _stops(draft: _Draft) -> None:
    """Without the empty texts, which stop nothing; some upstreams would stop at once."""
    stops, given = draft.chat.request.stops, draft.body.get("stop")
    if isinstance(given, list) and "" in given:
        draft.body["stop"] = list(stops)
    if not stops:
        draft.body.pop("stop", None)


def _refuse_unknown_tokens(draft: _Draft) -> None:
    size = draft.target.vocabulary
    for token in draft.chat.request.logit_bias or () if size is not None else ():
        if size is not None and not 0 <= int(token) < size:
            raise bad_request(
                f"Invalid key in 'logit_bias': {token}. The token ids of '{draft.target.name}' are 0 to {size - 1}.",
                "logit_bias",
                "invalid_value",
            )


def _effort(draft: _Draft) -> None:
    effort, effects = draft.chat.request.reasoning_effort, draft.row.effort
    if effects is None or effort is None:
        return
    if effort in effects:
        draft.body.update(effects[effort])
        del draft.body["reasoning_effort"]
    else:
        draft.drop("reasoning_effort")


def _stream(draft: _Draft, ask: Ask) -> None:
    """What riverrun wants of every upstream: a stream, with its usage at the end, and no padding in it."""
    body, row = draft.body, draft.row
    body["model"] = draft.target.model
    body["stream"] = True
    if row.usage == "asked":
        body["stream_options"] = {"include_usage": True}
    if len(ask.choices) > 1:
        body["n"] = len(ask.choices)
    body.update(row.constants)
    if ask.repeatable:
        body.update(row.seeded)
    if ask.prefill:
        go_on(body, ask.prefill, row.prefill_of(draft.target.model))


def _unsupported(param: str, target: Target) -> Failure:
    message = f"Unsupported parameter: '{param}' is not supported with the model '{target.name}'. Please leave it out."
    return bad_request(message, param, "unsupported_parameter")


def _invalid(param: str, why: str) -> Failure:
    return bad_request(f"Invalid '{param}': {why}.", param, "invalid_value")
