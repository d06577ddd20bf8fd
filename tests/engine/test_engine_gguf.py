from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riverrun.engine import gguf
from riverrun.engine.errors import NotGguf

from .ggufs import MODEL, Number, Tensor, text
from .ggufs import gguf as built


def test_reads_what_a_model_is() -> None:
    model = gguf.parse(built(MODEL), "x")
    assert (model.architecture, model.name, model.quantisation) == ("llama", "Tiny", "Q4_1")
    assert (model.context, model.layers, model.vocabulary) == (8192, 30, 2000)
    assert model.kv_width == 30 * 3 * (64 + 64)
    assert model.chat_template == "{{ messages }}"


def test_heads_per_layer_and_head_sizes_of_their_own() -> None:
    more = {"llama.attention.head_count_kv": [0, 2, 4], "llama.attention.key_length": 10}
    model = gguf.parse(built({**MODEL, **more, "llama.attention.value_length": Number("Q", 6)}), "x")
    assert model.kv_width == (0 + 2 + 4) * (10 + 6)


def test_a_model_that_says_little_is_still_read() -> None:
    model = gguf.parse(built({"general.architecture": "odd", "odd.f": Number("f", 1.5), "odd.b": Number("?", 1)}), "x")
    assert (model.quantisation, model.vocabulary, model.chat_template, model.name) == ("unknown", 0, None, None)


@pytest.mark.parametrize("length", [0, 1, 1024, 1025, 3000])
def test_arrays_of_any_length_are_passed_over(length: int) -> None:
    pairs = {"a": [1] * length, "b": ["x"] * length, "c": [["y"], ["z"]], **MODEL}
    assert gguf.parse(built(pairs), "x").architecture == "llama"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a GGUF file"),
        (b"<html>", "not a GGUF file"),
        (b"GGUF", "not a whole GGUF"),
        (built(MODEL, version=1), "version 1"),
        (built(MODEL, version=1 << 24), "version 16777216"),
        (built({}), "no general.architecture"),
        (built({"general.architecture": 7}), "no general.architecture"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<I", 99), "value type 99"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1 << 63), "ends too early"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IIQ", 9, 0, 1 << 62), "can't be"),
        (built({"k": [[[["deep"]]]], **MODEL}), "can't be"),
    ],
)
def test_what_is_no_gguf_is_refused_in_words(data: bytes, says: str) -> None:
    with pytest.raises(NotGguf, match=says):
        gguf.parse(data, "the file")


def test_every_truncation_is_refused() -> None:
    data = built({**MODEL, "tokenizer.ggml.tokens": ["a"] * 3})
    for end in range(len(data)):
        with pytest.raises(NotGguf):
            gguf.parse(data[:end], "x")


@given(st.binary(max_size=300))
def test_garbage_after_the_magic_raises_nothing_else(tail: bytes) -> None:
    with contextlib.suppress(NotGguf):
        gguf.parse(b"GGUF" + tail, "x")


@settings(max_examples=300)
@given(st.data())
def test_a_flipped_byte_raises_nothing_else(data: st.DataObject) -> None:
    whole = bytearray(built({**MODEL, "tokenizer.ggml.tokens": ["a"] * 3}))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(4, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(NotGguf):
        gguf.parse(bytes(whole), "x")


@pytest.mark.parametrize("align", [32, 64])
def test_a_file_that_does_not_reach_to_the_end_of_its_tensors_is_refused(align: int) -> None:
    # 64 numbers as Q4_1: two blocks of 20 bytes; then 5 x 3 of them as F32.
    tensors = (Tensor("b", (5, 3), 0, align * 2), Tensor("a", (64,), 3, 0))
    pairs = {**MODEL, "general.alignment": align}
    data = built(pairs, tail=bytes(align * 2 + 60), tensors=tensors, align=align)
    assert gguf.parse(data, "x").layers == 30
    for missing in (1, 59, 60 + align):
        with pytest.raises(NotGguf, match="ends too early"):
            gguf.parse(data[:-missing], "x")


def test_tensors_of_a_type_that_is_not_known_are_not_measured() -> None:
    tensors = (Tensor("a", (1 << 40,), 999, 0),)
    assert gguf.parse(built(MODEL, tensors=tensors, align=32), "x").layers == 30


def test_a_tensor_that_no_file_has_is_refused() -> None:
    with pytest.raises(NotGguf, match="9 dimensions"):
        gguf.parse(built(MODEL, tensors=(Tensor("a", (1,) * 9, 0, 0),)), "x")


def test_what_is_wrong_is_said_without_the_words_of_a_library() -> None:
    for data in (b"GGUF", b"GGUF plain text, and more of it", built(MODEL)[:-3]):
        with pytest.raises(NotGguf) as refused:
            gguf.parse(data, "the file")
        assert "unpack" not in str(refused.value)
        assert "buffer" not in str(refused.value)


def test_files_are_read_from_disk(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(built(MODEL, tail=b"\0" * 1000))
    assert gguf.read(path).layers == 30
    path.write_bytes(b"")
    with pytest.raises(NotGguf, match="is empty"):
        gguf.read(path)
    with pytest.raises(NotGguf, match="can't be read: No such file"):
        gguf.read(tmp_path / "none.gguf")
    with pytest.raises(NotGguf, match="can't be read"):
        gguf.read(tmp_path)
