"""What parameters mean together: each may be valid alone, and the request still contradict itself.

One small function per rule, each answering with the failure or nothing; RULES is their order, and the parameter
without which a rule has nothing to say. The wording is the official one where it is known (wire-format.md, section
1.3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from riverrun.failures import Failure, bad_request
from riverrun.wire.messages import AssistantMessage, ToolMessage
from riverrun.wire.parameters import ChatRequest
from riverrun.wire.tools import AllowedChoice, CustomChoice, FunctionChoice, Named, Tool

# Of a message `type(…) is` is asked: `isinstance` takes ten times as long to say no, and nearly always it is no.

Rule = Callable[[ChatRequest], Failure | None]

NOTHING: frozenset[str] = frozenset()


def contradiction(request: ChatRequest) -> Failure | None:
    """The first rule that the request breaks, as a 400."""
    for parameter, rule in RULES:
        if getattr(request, parameter) is not None:
            failure = rule(request)
            if failure is not None:
                return failure
    return None


def _stream_options(request: ChatRequest) -> Failure | None:
    if request.stream:
        return None
    return bad_request(
        "The 'stream_options' parameter is only allowed when 'stream' is enabled. Send 'stream': true, or leave it "
        "out.",
        "stream_options",
    )


def _top_logprobs(request: ChatRequest) -> Failure | None:
    if request.logprobs:
        return None
    return bad_request(
        "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled. Send 'logprobs': true, or leave it "
        "out.",
        "top_logprobs",
    )


def _functions_or_tools(request: ChatRequest) -> Failure | None:
    if request.tools is None:
        return None
    return bad_request(
        "Invalid parameter: 'functions' can't be sent together with 'tools'. Use 'tools': 'functions' is deprecated.",
        "functions",
    )


def _function_call(request: ChatRequest) -> Failure | None:
    call = request.function_call
    if call is None or call == "none":
        return None
    if request.functions is None:
        return bad_request(
            "Invalid value for 'function_call': 'function_call' is only allowed when 'functions' are specified.",
            "function_call",
        )
    if isinstance(call, Named) and all(call.name != function.name for function in request.functions):
        return _unknown_tool("function_call", "function", call.name, "functions")
    return None


def _tool_choice(request: ChatRequest) -> Failure | None:
    choice = request.tool_choice
    if choice is None or choice == "none":
        return None
    if request.tools is None:
        return bad_request(
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.", "tool_choice"
        )
    offered = {_identity(tool) for tool in request.tools}
    for kind, name in _chosen(choice):
        if (kind, name) not in offered:
            return _unknown_tool("tool_choice", kind, name, "tools")
    return None


def _identity(tool: Tool) -> tuple[str, str]:
    return str(tool.__struct_config__.tag), tool.name


def _chosen(choice: object) -> Iterator[tuple[str, str]]:
    """Kind and name of every tool that a choice names."""
    if isinstance(choice, FunctionChoice):
        yield "function", choice.function.name
    elif isinstance(choice, CustomChoice):
        yield "custom", choice.custom.name
    elif isinstance(choice, AllowedChoice):
        for tool in choice.allowed_tools.tools:
            yield from _chosen(tool)


def _unknown_tool(param: str, kind: str, name: str, source: str) -> Failure:
    noun = "function" if kind == "function" else "custom tool"
    return bad_request(
        f"Invalid value for '{param}': no {noun} named '{name[:64]}' was specified in the '{source}' parameter.", param
    )


def _tool_names(request: ChatRequest) -> Failure | None:
    seen: set[str] = set()
    for index, tool in enumerate(request.tools or ()):
        if tool.name in seen:
            kind, _ = _identity(tool)
            return bad_request(
                f"Invalid 'tools[{index}].{kind}.name': duplicate tool name '{tool.name}'. Give each tool its "
                "own name.",
                f"tools[{index}].{kind}.name",
                "invalid_value",
            )
        seen.add(tool.name)
    return None


def _spoken_answer(request: ChatRequest) -> Failure | None:
    if "audio" not in (request.modalities or ()) or request.audio is not None:
        return None
    return bad_request(
        "Missing required parameter: 'audio'. The modality 'audio' needs a voice and a format.",
        "audio",
        "missing_required_parameter",
    )


def _logit_bias(request: ChatRequest) -> Failure | None:
    for key in request.logit_bias or ():
        if not (key.isascii() and key.isdecimal()):
            return bad_request(
                f"Invalid key in 'logit_bias': {key[:64]}. You should only be submitting non-negative integers.",
                "logit_bias",
            )
    return None


def _assistant_content(request: ChatRequest) -> Failure | None:
    for index, message in enumerate(request.messages):
        if type(message) is AssistantMessage and not message.says_something:
            return bad_request(
                "Invalid value for 'content': expected a string, got null. An assistant message without 'content' "
                "needs 'tool_calls', 'refusal' or 'audio'.",
                f"messages.[{index}].content",
            )
    return None


def _tool_history(request: ChatRequest) -> Failure | None:
    """Calls and the messages that answer them: every call is answered, right after it, and nothing else is."""
    called: frozenset[str] = NOTHING
    waiting: dict[str, None] = {}  # the ids without an answer yet, in the order of the calls
    for index, message in enumerate(request.messages):
        if type(message) is ToolMessage:
            if message.tool_call_id not in called:
                return _no_such_call(index, message.tool_call_id, bool(called))
            waiting.pop(message.tool_call_id, None)
        elif waiting:
            return _unanswered(index, waiting)
        elif type(message) is AssistantMessage and message.tool_calls:
            waiting = dict.fromkeys([call.id for call in message.tool_calls])
            called = frozenset(waiting)
        else:
            called = NOTHING
    return _unanswered(len(request.messages) - 1, waiting) if waiting else None


def _no_such_call(index: int, id: str, calls: bool) -> Failure:
    if not calls:
        return bad_request(
            "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
            "'tool_calls'.",
            f"messages.[{index}].role",
        )
    return bad_request(
        f"Invalid parameter: 'tool_call_id' of '{id[:64]}' not found in 'tool_calls' of previous message.",
        f"messages.[{index}].tool_call_id",
    )


def _unanswered(index: int, waiting: dict[str, None]) -> Failure:
    ids = ", ".join(id[:64] for id in list(waiting)[:16])
    return bad_request(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
        f"The following tool_call_ids did not have response messages: {ids}",
        f"messages.[{index}].role",
    )


RULES: tuple[tuple[str, Rule], ...] = (
    ("stream_options", _stream_options),
    ("top_logprobs", _top_logprobs),
    ("functions", _functions_or_tools),
    ("tools", _tool_names),
    ("tool_choice", _tool_choice),
    ("function_call", _function_call),
    ("modalities", _spoken_answer),
    ("logit_bias", _logit_bias),
    ("messages", _assistant_content),
    ("messages", _tool_history),
)
