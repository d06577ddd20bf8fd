"""A prompt that is too long, at the upstreams that have neither a code nor a type for it: by their wordings, as data.

This is the one error that is known by its words. Anthropic, Amazon, Google and Cohere answer it with the type of every
other bad request, and a router must know it: it is the one that a model with a larger context can help.
"""

from __future__ import annotations

import re

from riverrun.dialects.blame import blamed
from riverrun.failures import Cause, Failure
from riverrun.routing.target import Target

WORDINGS = tuple(
    re.compile(pattern)
    for pattern in (
        r"(The model returned the following errors: )?prompt is too long(: (?P<given>\d+) tokens > (?P<most>\d+) )?",
        r"(The model returned the following errors: )?input length and `max_tokens` exceed context limit",
        r"(The model returned the following errors: )?Input is too long for requested model",
        r"The input token count \((?P<given>\d+)\) exceeds the maximum number of tokens allowed \((?P<most>\d+)\)",
        r"[Tt]oo many tokens: ",
    )
)
"""How a message about it begins, and the numbers in it."""


def too_long(message: str, target: Target) -> Failure | None:
    """The failure that a bad request's message means, or None where it is another.

    With the numbers it has the official wording, which many agents read with a pattern.
    """
    found = next((match for wording in WORDINGS if (match := wording.match(message))), None)
    if found is None:
        return None
    numbers = found.groupdict()
    given, most = numbers.get("given"), numbers.get("most")
    if given and most:
        message = (
            f"This model's maximum context length is {most} tokens. However, your messages resulted in {given} tokens. "
            "Please reduce the length of the messages."
        )
    return blamed(Cause.CONTEXT_TOO_LONG, target, message=message)
