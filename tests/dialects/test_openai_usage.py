from __future__ import annotations

import pytest
from msgspec import Raw

from riverrun.dialects.openai_usage import usage_of
from riverrun.stream.deltas import Usage
from riverrun.wire.chunk import PromptTokensDetails


@pytest.mark.parametrize(
    ("raw", "usage"),
    [
        (b"", None),
        (b"null", None),
        (b"{}", None),
        (b'{"prompt_tokens":"many"}', None),
        (b'{"prompt_tokens":null,"completion_tokens":null}', None),
        (b'{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,"cost":0.1}', Usage(3, 4)),
        (b'{"prompt_tokens":3.0,"completion_tokens":4.0}', Usage(3, 4)),
        (b'{"prompt_tokens":3,"total_tokens":9}', Usage(3, 6)),
        (b'{"prompt_tokens":3,"completion_tokens":0}', Usage(3, 0)),
        (
            b'{"prompt_tokens":3,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":2}}',
            Usage(3, 4, PromptTokensDetails(cached_tokens=2)),
        ),
        (
            b'{"prompt_tokens":3,"completion_tokens":4,"prompt_cache_hit_tokens":1}',
            Usage(3, 4, PromptTokensDetails(cached_tokens=1)),
        ),
    ],
)
def test_counts_in_the_vendors_forms(raw: bytes, usage: Usage | None) -> None:
    assert usage_of(Raw(raw)) == usage
