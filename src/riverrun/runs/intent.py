"""What a client says about its request, beside the request: that it may come again, and that it means to come back."""

from __future__ import annotations

from typing import Literal

import msgspec

from riverrun.tapes.contract import Policy


class Intent(msgspec.Struct, frozen=True):
    """`key` is the client's Idempotency-Key; `retries`: how often its SDK has tried before.

    `policy` is what it wants to become of an answer that nobody reads; None: as the server has it.
    `resumes`: it goes on with a stream that began before, and a new one would be another.
    """

    key: str | None = None
    policy: Policy | None = None
    retries: int = 0
    resumes: bool = False


class Habits(msgspec.Struct, frozen=True):
    """How a server treats answers that nobody reads, and requests that come again. `grace` is in seconds."""

    on_disconnect: Policy = "cancel"
    grace: float = 30.0
    join_retries: bool = False
    reasoning: Literal["reasoning_content", "reasoning", "both"] = "reasoning_content"

    def policy(self, intent: Intent, *, store: bool) -> Policy:
        """A client that names its request, or wants it stored, means to come back."""
        if intent.policy is not None:
            return intent.policy
        returns = intent.key is not None or store or self.join_retries
        return "grace" if returns and self.on_disconnect == "cancel" else self.on_disconnect
