"""What stands beside a Cohere answer's text: its citations as annotations, its usage."""

from __future__ import annotations

import msgspec

from riverrun.dialects.cohere_events import Citation, Source, UsagePart
from riverrun.stream.deltas import Annotation, Delta, Usage
from riverrun.wire.chunk import PromptTokensDetails

OF_THE_TEXT = frozenset({None, "TEXT_CONTENT"})
"""Citations may also be of the thinking or of the plan, whose places the API can't name."""


def citations(choice: int, citation: Citation) -> list[Delta]:
    """One `url_citation` for each source."""
    if citation.type not in OF_THE_TEXT:
        return []
    return [Annotation(choice, _cited(source, citation)) for source in citation.sources]


def _cited(source: Source, citation: Citation) -> bytes:
    """A source that has no address is named by its id, as the request named it."""
    document = source.document or {}
    url, title = document.get("url"), document.get("title")
    id = source.id or ""
    cited = {
        "start_index": citation.start,
        "end_index": citation.end,
        "url": url if isinstance(url, str) else id,
        "title": title if isinstance(title, str) else id,
    }
    return msgspec.json.encode({"type": "url_citation", "url_citation": cited})


def usage(counts: UsagePart) -> Usage | None:
    """The tokens that went through the model, else those that are billed; None where neither is told."""
    told = counts.tokens or counts.billed_units
    if told is None or (told.input_tokens is None and told.output_tokens is None):
        return None
    prompt = int(told.input_tokens or 0)
    cached = None if counts.cached_tokens is None else min(prompt, int(counts.cached_tokens))
    details = None if cached is None else PromptTokensDetails(cached_tokens=cached)
    return Usage(prompt, int(told.output_tokens or 0), details)
