"""Builds small GGUF files for tests."""

from __future__ import annotations

import struct
from collections.abc import Mapping

TYPES = {"I": 4, "i": 5, "f": 6, "?": 7, "Q": 10}


class Number:
    """A number with its struct code, where the type matters."""

    def __init__(self, code: str, value: int | float) -> None:
        self.code, self.value = code, value


class Tensor:
    """Where a tensor lies, as the file's list says it."""

    def __init__(self, name: str, shape: tuple[int, ...], kind: int, offset: int) -> None:
        self.name, self.shape, self.kind, self.offset = name, shape, kind, offset

    def packed(self) -> bytes:
        shape = struct.pack(f"<I{len(self.shape)}Q", len(self.shape), *self.shape)
        return text(self.name) + shape + struct.pack("<IQ", self.kind, self.offset)


def gguf(
    pairs: Mapping[str, object], version: int = 3, tail: bytes = b"", tensors: tuple[Tensor, ...] = (), align: int = 1
) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(pairs))
    told = head + b"".join(text(key) + typed(value) for key, value in pairs.items())
    listed = told + b"".join(tensor.packed() for tensor in tensors)
    return listed + bytes(-len(listed) % align) + tail


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def typed(value: object) -> bytes:
    kind, payload = encoded(value)
    return struct.pack("<I", kind) + payload


def encoded(value: object) -> tuple[int, bytes]:
    if isinstance(value, Number):
        return TYPES[value.code], struct.pack("<" + value.code, value.value)
    if isinstance(value, str):
        return 8, text(value)
    if isinstance(value, int):
        return 4, struct.pack("<I", value)
    assert isinstance(value, list)
    parts = [encoded(each) for each in value]
    kind = parts[0][0] if parts else 4
    return 9, struct.pack("<IQ", kind, len(parts)) + b"".join(payload for _, payload in parts)


MODEL: dict[str, object] = {
    "general.architecture": "llama",
    "general.name": "Tiny",
    "general.file_type": 3,
    "llama.context_length": 8192,
    "llama.block_count": 30,
    "llama.embedding_length": 576,
    "llama.attention.head_count": 9,
    "llama.attention.head_count_kv": 3,
    "tokenizer.ggml.tokens": [f"token {n}" for n in range(2000)],
    "tokenizer.chat_template": "{{ messages }}",
}
