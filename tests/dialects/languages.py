"""The languages whose streams the contract suite reads: who reads them, ours, and where the recorded ones lie."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from riverrun.backends.content import FRAMERS, Framer
from riverrun.dialects.anthropic import Anthropic
from riverrun.dialects.bedrock import Bedrock
from riverrun.dialects.cohere import Cohere
from riverrun.dialects.contract import Dialect, Reader
from riverrun.dialects.gemini import Gemini
from riverrun.dialects.ollama import Ollama
from riverrun.routing.target import Target
from riverrun.stream.deltas import Delta
from tests.dialects import anthropic_says, bedrock_says, cohere_says, gemini_says, ollama_says
from tests.dialects.asks import ask
from tests.dialects.speaking import at

RECORDINGS = Path(__file__).parents[2] / "../shared/recordings"


class Language(NamedTuple):
    """`own`: a stream of our own making with every kind of event. `folder`: where recorded ones lie."""

    dialect: Dialect
    target: Target
    own: bytes
    folder: str


LANGUAGES = {
    "anthropic": Language(Anthropic(), anthropic_says.claude(), anthropic_says.OWN, "anthropic"),
    "bedrock": Language(Bedrock(), bedrock_says.hosted(), bedrock_says.OWN, "bedrock"),
    "cohere": Language(Cohere(), at("cohere"), cohere_says.OWN, "cohere"),
    "gemini": Language(Gemini(), at("gemini"), gemini_says.OWN, "gemini"),
    "ollama": Language(Ollama(), at("ollama"), ollama_says.OWN, "ollama"),
}


class Stream(NamedTuple):
    """One stream of one language."""

    language: Language
    path: Path | None

    @property
    def body(self) -> bytes:
        if self.path is None:
            return self.language.own
        record = json.loads(self.path.read_text(encoding="utf-8"))
        return b64decode(record["body_base64"]) if "body_base64" in record else record["body"].encode()

    def framer(self) -> Framer:
        return FRAMERS[self.language.dialect.framing]()

    def reader(self) -> Reader:
        return self.language.dialect.reader(ask(), self.language.target)

    def read(self, blocks: Iterable[bytes]) -> list[Delta]:
        """All deltas of the stream, which arrives in these blocks."""
        framer, reader = self.framer(), self.reader()
        deltas = [delta for block in blocks for event in framer.feed(block) for delta in reader.read(event)]
        assert not framer.partial
        return deltas + reader.finish()

    def ends(self) -> list[int]:
        """Where each event ends, in bytes."""
        body, framer = self.body, self.framer()
        return [at + 1 for at in range(len(body)) if framer.feed(body[at : at + 1])]


STREAMS = {
    f"{name}-{path.name[:70] if path else 'own'}": Stream(language, path)
    for name, language in LANGUAGES.items()
    for path in (None, *sorted((RECORDINGS / language.folder).glob("*.stream.json")))
}

WHOLE = [
    (language, path)
    for language in LANGUAGES.values()
    for path in sorted((RECORDINGS / language.folder).glob("*.json.json"))
]
