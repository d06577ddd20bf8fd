"""Reads the metadata at the head of a GGUF file: what the model is, and how much memory its context takes.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Of the tensors it knows only where they lie. Anything
that is not a whole GGUF file is refused with NotGguf, whatever its bytes are.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import msgspec

from riverrun.engine.errors import NotGguf

Value: TypeAlias = "int | float | bool | str | list[Value] | Skipped"

# The value types of the format by number; 8 is a string and 9 an array.
SCALARS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
STRING, ARRAY = 8, 9
LENGTH = struct.Struct("<Q")
LONGEST_KEPT_ARRAY = 1024
DEEPEST_ARRAY = 3
ALIGNMENT = 32
MOST_DIMENSIONS = 4

# ggml's `ggml_type`: how many numbers a block of a tensor holds, and its bytes (ggml.c, type_traits).
BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 16: (256, 66),
    17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82), 23: (256, 136),
    24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54),
    35: (256, 66), 39: (32, 17),
}  # fmt: skip

# llama.cpp's `llama_ftype`: how most of the tensors are stored.
QUANTISATIONS = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS",
    21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S",
    29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4",
}  # fmt: skip


class Skipped(msgspec.Struct, frozen=True):
    """An array that is too long to keep (a vocabulary, say), with its length."""

    length: int


class Gguf(msgspec.Struct, frozen=True):
    """What the header says. `kv_width` is the numbers stored per token in the KV cache, over all layers."""

    architecture: str
    name: str | None
    context: int
    layers: int
    kv_width: int
    vocabulary: int
    quantisation: str
    chat_template: str | None


def read(path: Path) -> Gguf:
    """The metadata of the file at `path`. Raises NotGguf where it is none, can't be read or is cut short."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return parse(data, str(path))
    except OSError as error:
        raise NotGguf(f"{path} can't be read: {error.strerror}.") from None
    except ValueError:
        raise NotGguf(f"{path} is empty; fetch it again.") from None


def parse(data: bytes | mmap.mmap, where: str) -> Gguf:
    """The metadata of a GGUF file's bytes. `where` names the file in messages. Raises NotGguf."""
    if data[:4] != b"GGUF":
        raise NotGguf(f"{where} is not a GGUF file: riverrun runs models in that format only.")
    try:
        return _model(_metadata(data))
    except (struct.error, IndexError):
        raise NotGguf(f"{where} is not a whole GGUF file ({CUT}); fetch it again.") from None
    except UnicodeDecodeError:
        raise NotGguf(f"{where} is not a whole GGUF file (a name that is no text); fetch it again.") from None
    except _Bad as error:
        raise NotGguf(f"{where} is not a whole GGUF file ({error}); fetch it again.") from None


CUT = "it ends too early"


class _Bad(Exception):
    """Bytes that no GGUF file has."""


def _metadata(data: bytes | mmap.mmap) -> dict[str, Value]:
    version, tensors, pairs = struct.unpack_from("<IQQ", data, 4)
    if version not in (2, 3):
        raise _Bad(f"version {version}, where 2 and 3 are known")
    cursor = _Cursor(data, 24)
    found: dict[str, Value] = {}
    for _ in range(pairs):
        key = cursor.text()
        found[key] = cursor.value(cursor.number("I"))
    alignment = found.get("general.alignment", ALIGNMENT)
    cursor.check_tensors(tensors, alignment if isinstance(alignment, int) and alignment > 0 else ALIGNMENT)
    return found


class _Cursor:
    """A place in the file, moved on by each read."""

    def __init__(self, data: bytes | mmap.mmap, at: int) -> None:
        self._data = data
        self._end = len(data)
        self._at = at

    def number(self, code: str) -> int:
        return int(self._scalar(code))

    def text(self) -> str:
        start, end = self._span()
        return bytes(self._data[start:end]).decode("utf-8")

    def value(self, kind: int, depth: int = 0) -> Value:
        if kind == STRING:
            return self.text()
        if kind == ARRAY:
            return self._array(depth)
        if kind not in SCALARS:
            raise _Bad(f"value type {kind}")
        return self._scalar(SCALARS[kind])

    def check_tensors(self, count: int, alignment: int) -> None:
        """Reads where each tensor lies, after the end of this list; the file must reach as far."""
        furthest = max((self._tensor() for _ in range(count)), default=0)
        if furthest and -(-self._at // alignment) * alignment + furthest > self._end:
            raise _Bad(CUT)

    def _tensor(self) -> int:
        """Where the next tensor ends, in bytes from the start of all. One of an unknown type counts as empty."""
        self._span()  # its name
        dimensions = self.number("I")
        if dimensions > MOST_DIMENSIONS:
            raise _Bad(f"a tensor of {dimensions} dimensions")
        elements = math.prod(self.number("Q") for _ in range(dimensions))
        numbers, size = BLOCKS.get(self.number("I"), (1, 0))
        return self.number("Q") + elements // numbers * size

    def _scalar(self, code: str) -> int | float | bool:
        value: int | float | bool = struct.unpack_from("<" + code, self._data, self._at)[0]
        self._at += struct.calcsize("<" + code)
        return value

    def _span(self) -> tuple[int, int]:
        length = self.number("Q")
        start = self._at
        self._move(length)
        return start, self._at

    def _move(self, length: int) -> None:
        if length > self._end - self._at:
            raise _Bad(CUT)
        self._at += length

    def _array(self, depth: int) -> Value:
        kind, length = self.number("I"), self.number("Q")
        if depth == DEEPEST_ARRAY or length > self._end - self._at:
            raise _Bad("an array that can't be")
        if length <= LONGEST_KEPT_ARRAY:
            return [self.value(kind, depth + 1) for _ in range(length)]
        self._skip(kind, length, depth)
        return Skipped(length)

    def _skip(self, kind: int, length: int, depth: int) -> None:
        if kind in SCALARS:
            self._move(length * struct.calcsize("<" + SCALARS[kind]))
            return
        if kind != STRING:
            for _ in range(length):
                self.value(kind, depth + 1)
            return
        at, data, unpack = self._at, self._data, LENGTH.unpack_from  # a vocabulary has 150,000 of them
        for _ in range(length):
            at += LENGTH.size + unpack(data, at)[0]
            if at > self._end:
                raise _Bad(CUT)
        self._at = at


def _model(found: Mapping[str, Value]) -> Gguf:
    architecture = found.get("general.architecture")
    if not isinstance(architecture, str):
        raise _Bad("no general.architecture")

    def number(key: str, default: int = 0) -> int:
        value = found.get(f"{architecture}.{key}", default)
        return value if isinstance(value, int) else default

    layers, heads = number("block_count"), max(1, number("attention.head_count", 1))
    head = number("embedding_length") // heads
    width = number("attention.key_length", head) + number("attention.value_length", head)
    template, name = found.get("tokenizer.chat_template"), found.get("general.name")
    file_type = found.get("general.file_type")
    return Gguf(
        architecture=architecture,
        name=name if isinstance(name, str) else None,
        context=number("context_length"),
        layers=layers,
        kv_width=width * _kv_heads(found.get(f"{architecture}.attention.head_count_kv"), layers, heads),
        vocabulary=_length(found.get("tokenizer.ggml.tokens")) or number("vocab_size"),
        quantisation=QUANTISATIONS.get(file_type, "unknown") if isinstance(file_type, int) else "unknown",
        chat_template=template if isinstance(template, str) else None,
    )


def _kv_heads(value: Value | None, layers: int, heads: int) -> int:
    """Key-value heads over all layers; the format gives one number for every layer, or a list."""
    if isinstance(value, list):
        return sum(each for each in value if isinstance(each, int))
    return layers * (value if isinstance(value, int) else heads)


def _length(value: Value | None) -> int:
    if isinstance(value, Skipped):
        return value.length
    return len(value) if isinstance(value, list) else 0
