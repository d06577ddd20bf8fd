"""An ask as a Gemini request (generateContent, v1beta): settings, instructions and tools; the turns are `gemini_turns`.

What would change the meaning and can't be said is a 400 that names the parameter; a mere hint is left out, and named.
The form is https://ai.google.dev/api/generate-content, and the same at Vertex.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from riverrun.dialects.contract import Outgoing
from riverrun.dialects.draft import Body, Draft, carry, effort, encoded, invalid
from riverrun.dialects.gemini_turns import contents, instructions
from riverrun.dialects.rows import Row
from riverrun.dialects.scales import scale
from riverrun.routing.target import Target
from riverrun.stream.ask import Ask
from riverrun.wire.jsonvalue import JsonValue
from riverrun.wire.options import JsonObjectResponse, JsonSchemaResponse
from riverrun.wire.tools import Function, FunctionTool

SAID = frozenset(
    {
        "messages", "model", "tools", "tool_choice", "response_format", "reasoning_effort", "max_completion_tokens",
        "max_tokens", "stop", "seed", "logprobs", "top_logprobs", "service_tier", "web_search_options",
    }
)  # fmt: skip

GENERATION = "generationConfig."
CALLING = "toolConfig.functionCallingConfig"
THINKING = "generationConfig.thinkingConfig"

MOST_CHOICES = 8
"""The largest candidateCount."""
SEEDS = 2**31
"""Its seeds are 32 bits with a sign; other ones are folded."""
TIERS = {"default": "standard", "flex": "flex", "priority": "priority"}

_Draft = Draft[Row]


def encode(ask: Ask, target: Target, row: Row) -> Outgoing:
    """The request for one upstream call. Raises Failure (400, with `param`) for what can't be said there."""
    draft = Draft(ask, target, row)
    carry(draft, SAID)
    for step in STEPS:
        step(draft)
    path = row.path.format(model=quote(target.model, safe=""))
    return Outgoing(path, encoded(draft), dropped=tuple(draft.dropped))


def _conversation(draft: _Draft) -> None:
    system = instructions(draft)
    if system:
        draft.put("systemInstruction", {"parts": system})
    draft.put("contents", contents(draft))


def _tools(draft: _Draft) -> None:
    tools: list[JsonValue] = []
    functions = [tool.function for tool in draft.request.tools or () if isinstance(tool, FunctionTool)]
    if functions:
        offered = _choose(draft, functions)
        tools.append({"functionDeclarations": [_declared(function) for function in offered]})
    search = draft.request.web_search_options
    if search is not None:
        tools.append({"googleSearch": {}})
        if search.search_context_size is not None or search.user_location is not None:
            draft.drop("web_search_options")  # that it searches is said; how, is a hint
    if tools:
        draft.put("tools", tools)


def _choose(draft: _Draft, functions: list[Function]) -> list[Function]:
    """Says which of the functions may be called, and gives those that are declared."""
    offer = draft.menu
    if offer is None:
        draft.put(CALLING, {"mode": "NONE"})
        return functions
    allowed = [function.name for function in offer.functions]
    if offer.mode == "required":
        limits: Body = {} if len(allowed) == len(functions) else {"allowedFunctionNames": [*allowed]}
        draft.put(CALLING, {"mode": "ANY", **limits})
        return functions
    strict = any(function.strict for function in offer.functions)
    if strict and scale(draft.row.dialect, draft.target.model) is not None:
        draft.put(CALLING, {"mode": "VALIDATED"})  # AUTO that holds to the schemas; thinking models have it
    return list(offer.functions)


def _declared(function: Function) -> Body:
    out: Body = {"name": function.name, "description": function.description or ""}
    if function.parameters is not None:
        out["parametersJsonSchema"] = function.parameters
    return out


def _format(draft: _Draft) -> None:
    wanted = draft.request.response_format
    if not isinstance(wanted, JsonObjectResponse | JsonSchemaResponse):
        return
    draft.put(GENERATION + "responseMimeType", "application/json")
    if isinstance(wanted, JsonSchemaResponse) and wanted.json_schema.schema is not None:
        draft.put(GENERATION + "responseJsonSchema", wanted.json_schema.schema)


def _limits(draft: _Draft) -> None:
    request = draft.request
    if request.limit is not None:
        draft.put(GENERATION + "maxOutputTokens", request.limit)
    if request.stops:
        draft.put(GENERATION + "stopSequences", list(request.stops))
    if request.seed is not None:
        draft.put(GENERATION + "seed", request.seed % SEEDS)
    if draft.choices > MOST_CHOICES:
        raise invalid("n", f"the model '{draft.target.name}' gives at most {MOST_CHOICES} answers at once")
    if draft.choices > 1:
        draft.put(GENERATION + "candidateCount", draft.choices)
    if request.logprobs:
        draft.put(GENERATION + "responseLogprobs", True)
        if request.top_logprobs:
            draft.put(GENERATION + "logprobs", request.top_logprobs)


def _thinking(draft: _Draft) -> None:
    """Thoughts are asked for where the model has any; the caller's own `thinking_config` goes before an effort."""
    if draft.given(THINKING):
        if draft.request.reasoning_effort is not None:
            draft.drop("reasoning_effort")
        return
    told = effort(draft)
    if told is not None:
        draft.put(THINKING, {"includeThoughts": True, **told})


def _tier(draft: _Draft) -> None:
    """Vertex has tiers too, and says them in a header; there it is a dropped hint."""
    tier = draft.request.service_tier
    if tier in TIERS and "service_tier" not in draft.row.dropped:
        draft.put("serviceTier", TIERS[tier])
    elif tier not in (None, "auto"):
        draft.drop("service_tier")


STEPS: tuple[Callable[[_Draft], None], ...] = (_conversation, _tools, _format, _limits, _thinking, _tier)
