"""A conversation as Gemini's `contents`: the user's turns and the model's, with calls, results, media and signatures.

Gemini has one place for instructions, so system and developer messages are gathered there in order. Turns of one side
in a row are one turn, and so are results: they must stand together, as many as there were calls, and alone.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from riverrun.dialects.attachments import Data, attached, pictured
from riverrun.dialects.draft import Body, Draft, invalid
from riverrun.dialects.history import arguments, calls, media_type, names, said, text, turns
from riverrun.dialects.rows import Row
from riverrun.dialects.scales import scale
from riverrun.wire.jsonvalue import JsonValue
from riverrun.wire.messages import (
    AssistantMessage,
    AudioPart,
    DeveloperMessage,
    FilePart,
    FunctionMessage,
    ImagePart,
    SystemMessage,
    TextPart,
    ToolMessage,
    UserMessage,
)

Parts = list[JsonValue]
_Draft = Draft[Row]

ROLES = {"user": "user", "model": "model", "tool": "user"}

SOUNDS = {"wav": "audio/wav", "mp3": "audio/mpeg"}

SIGNED = "reasoning.encrypted"
"""The type of a `reasoning_details` entry that holds a thought signature."""

UNSIGNED = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="
"""`skip_thought_signature_validator`: stands for a signature that is not there (ai.google.dev, thought signatures)."""

SIGNERS = {"google": "google-vertex-v1"}
"""The `format` of a signature, by how its house is told the key: the two refuse each other's."""


def signer(row: Row) -> str:
    """Whose signatures it takes and gives, in the manner of OpenRouter's names."""
    return SIGNERS.get(row.auth, "google-gemini-v1")


def instructions(draft: _Draft) -> Parts:
    """What the system and the developer say."""
    messages = draft.request.messages
    return [{"text": text(each.content)} for each in messages if isinstance(each, SystemMessage | DeveloperMessage)]


def contents(draft: _Draft) -> JsonValue:
    """The turns. Raises Failure (400) for what can't be said in them."""
    called = names(draft.chat)
    turned: list[tuple[str, Parts]] = []
    for at, message, body in turns(draft.chat):
        match message:
            case UserMessage():
                _add(turned, "user", _user(draft, at, message))
            case AssistantMessage():
                _add(turned, "model", _model(draft, at, message, body))
            case ToolMessage():
                _add(turned, "tool", [_result(message, called.get(message.tool_call_id, ""))])
            case SystemMessage() | DeveloperMessage() | FunctionMessage():
                pass  # the first two are instructions; the third has become a tool message
        if getattr(message, "name", None) is not None:
            draft.drop("messages.name")
    if not turned:
        turned.append(("user", [{"text": ""}]))  # there must be a turn
    return [{"role": ROLES[side], "parts": parts} for side, parts in turned]


def _add(turned: list[tuple[str, Parts]], side: str, parts: Parts) -> None:
    if turned and turned[-1][0] == side:
        turned[-1][1].extend(parts)
    elif parts:
        turned.append((side, parts))


def _user(draft: _Draft, at: str, message: UserMessage) -> Parts:
    if isinstance(message.content, str):
        return [{"text": message.content}]
    out: Parts = []
    for number, part in enumerate(message.content):
        if part.prompt_cache_breakpoint is not None:
            draft.drop("prompt_cache_breakpoint")
        out.append(PARTS[type(part)](draft, f"{at}.content[{number}]", part))
    return out


def _text(draft: _Draft, at: str, part: TextPart) -> JsonValue:
    return {"text": part.text}


def _image(draft: _Draft, at: str, part: ImagePart) -> JsonValue:
    if part.image_url.detail not in (None, "auto"):
        draft.drop("image_url.detail")
    held = pictured(part.image_url.url, at)
    return _linked(held, held) if isinstance(held, str) else _inline(held)


def _audio(draft: _Draft, at: str, part: AudioPart) -> JsonValue:
    return _inline(Data(SOUNDS[part.input_audio.format], part.input_audio.data))


def _file(draft: _Draft, at: str, part: FilePart) -> JsonValue:
    held = attached(part.file, at)
    if isinstance(held, Data):
        return _inline(held)
    if "://" not in held:
        raise invalid(at, "this model knows an uploaded file by its address, and 'file_id' is none")
    return _linked(held, part.file.filename or held)


PARTS: dict[type, Callable[..., JsonValue]] = {
    TextPart: _text,
    ImagePart: _image,
    AudioPart: _audio,
    FilePart: _file,
}


def _inline(held: Data) -> JsonValue:
    return {"inlineData": {"mimeType": held.media_type, "data": held.base64}}


def _linked(address: str, name: str) -> JsonValue:
    """What lies at an address. Its type is told where the name does, and is otherwise for the house to find out."""
    kind = media_type(name)
    return {"fileData": {"fileUri": address, **({"mimeType": kind} if kind is not None else {})}}


def _model(draft: _Draft, at: str, message: AssistantMessage, body: Body) -> Parts:
    if message.audio is not None:
        raise invalid(f"{at}.audio", "an earlier answer in sound can't be given to this model")
    signatures = _signatures(body, signer(draft.row))
    parts: Parts = []
    words = said(message)
    if words or "" in signatures:
        parts.append({"text": words, **_signed(signatures.get(""))})
    for number, call in enumerate(calls(message, at)):
        args = arguments(call, f"{at}.tool_calls[{number}].function.arguments")
        signature = signatures.get(call.id)
        if signature is None and number == 0 and scale(draft.row.dialect, draft.target.model) is not None:
            signature = UNSIGNED  # the first call of a turn must be signed, the others need not be
        function: Body = {"id": call.id, "name": call.function.name, "args": args}
        parts.append({"functionCall": function, **_signed(signature)})
    return parts


def _signed(signature: str | None) -> Body:
    return {"thoughtSignature": signature} if signature else {}


def _signatures(body: Body, form: str) -> dict[str, str]:
    """The signatures that the client kept, by the call's id; the one of the text has none."""
    details = body.get("reasoning_details")
    found: dict[str, str] = {}
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and detail.get("type") == SIGNED and detail.get("format") == form:
            id, data = detail.get("id") or "", detail.get("data")
            if isinstance(id, str) and isinstance(data, str):
                found[id] = data
    return found


def _result(message: ToolMessage, name: str) -> JsonValue:
    return {
        "functionResponse": {"id": message.tool_call_id, "name": name, "response": _response(text(message.content))}
    }


def _response(content: str) -> JsonValue:
    """A result must be an object: one that is none stands under `output`, as the API says."""
    try:
        value: JsonValue = msgspec.json.decode(content)
    except (ValueError, RecursionError):
        value = content
    return value if isinstance(value, dict) else {"output": value}
