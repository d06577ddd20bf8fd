"""What one upstream call used: its own count where it gives one, else what was seen of it, marked as that. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

from riverrun.stream.deltas import Delta, Reasoning, Refusal, Text, ToolArgs, ToolOpen, Usage

LETTERS = 4.0
"""Characters of a token, as a rule of thumb for English and for JSON."""

COARSE = 12.0
"""Characters of an average delta above which a delta is not one token: such an upstream sends larger pieces."""

SAID = {Text, Reasoning, Refusal, ToolArgs}


class Used(msgspec.Struct, frozen=True):
    """Tokens. `counted`: one for each delta that came; `estimated`: from their length."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    source: Literal["provider", "counted", "estimated"] = "counted"


class Tally(msgspec.Struct, eq=False):
    """Counts as the deltas come."""

    said: int = 0
    letters: int = 0
    usage: Usage | None = None

    def count(self, deltas: list[Delta]) -> None:
        said = letters = 0
        for delta in deltas:
            if type(delta) in SAID:
                size = len(delta.literal) - 2  # type: ignore[union-attr]  # all of SAID have one, in quotes
                if size:
                    said += 1
                    letters += size
            elif type(delta) is ToolOpen:
                said += 1
                letters += len(delta.name)
            elif type(delta) is Usage:
                self.usage = delta
        self.said += said
        self.letters += letters

    def used(self, prompt_characters: int) -> Used:
        """What the call cost. An upstream that said nothing, and counted nothing, is taken to have done nothing."""
        usage = self.usage
        if usage is not None:
            return Used(
                usage.prompt_tokens,
                usage.completion_tokens,
                (usage.prompt_details and usage.prompt_details.cached_tokens) or 0,
                (usage.completion_details and usage.completion_details.reasoning_tokens) or 0,
                "provider",
            )
        if not self.said:
            return Used()
        prompt = prompt_tokens(prompt_characters)
        if self.letters / self.said > COARSE:
            return Used(prompt, max(1, round(self.letters / LETTERS)), source="estimated")
        return Used(prompt, self.said)


def prompt_tokens(characters: int) -> int:
    """An estimate."""
    return max(1, characters // int(LETTERS))
