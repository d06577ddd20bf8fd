"""Asks a freshly started engine what its model can do. Runs in the engine's own process, once."""

from __future__ import annotations

import http.client
import socket
from urllib.parse import urlsplit

import msgspec


class Facts(msgspec.Struct, frozen=True):
    """What the engine says of its model. `tools`: its chat template knows them; `context` is tokens per slot."""

    slots: int
    context: int
    vocabulary: int
    tools: bool
    modalities: tuple[str, ...]
    quantisation: str
    template: str


class _Caps(msgspec.Struct, frozen=True):
    supports_tools: bool = False


class _Generation(msgspec.Struct, frozen=True):
    n_ctx: int


class _Props(msgspec.Struct, frozen=True):
    default_generation_settings: _Generation
    total_slots: int
    chat_template: str = ""
    chat_template_caps: _Caps = _Caps()
    modalities: dict[str, bool] = {}


class _Meta(msgspec.Struct, frozen=True):
    n_vocab: int
    ftype: str = "unknown"


class _Model(msgspec.Struct, frozen=True):
    meta: _Meta


class _Models(msgspec.Struct, frozen=True):
    data: tuple[_Model, ...]


MODALITIES = {"vision": "image", "audio": "audio", "video": "video"}
"""The engine's word to the API's."""


def ask(address: str, listening: str, key: str | None) -> Facts:
    """The facts of the engine at the Unix socket `address`, or with a key at the URL `listening`."""
    link = _UnixConnection(address) if key is None else http.client.HTTPConnection(urlsplit(listening).netloc)
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    try:
        props = msgspec.json.decode(_get(link, "/props", headers), type=_Props)
        meta = msgspec.json.decode(_get(link, "/v1/models", headers), type=_Models).data[0].meta
    finally:
        link.close()
    extra = tuple(MODALITIES[name] for name, has in props.modalities.items() if has and name in MODALITIES)
    return Facts(
        slots=props.total_slots,
        context=props.default_generation_settings.n_ctx,
        vocabulary=meta.n_vocab,
        tools=props.chat_template_caps.supports_tools,
        modalities=("text", *extra),
        quantisation=meta.ftype,
        template=props.chat_template,
    )


def _get(link: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> bytes:
    link.request("GET", path, headers=headers)
    return link.getresponse().read()


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)
