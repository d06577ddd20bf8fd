"""From a cause to the failure that the client is told, for the dialects whose errors have a form of their own.

The upstream's own words are passed on only where the client can act on them; what is between riverrun and the
upstream (its key, its URL, its account) stays there.
"""

from __future__ import annotations

from typing import NoReturn

from riverrun.dialects.openai_failure import LONGEST_MESSAGE, STATUSES, TOLD
from riverrun.failures import Cause, Failure
from riverrun.routing.target import Target


def by_status(status: int | None) -> Cause:
    """What an HTTP status means where nothing else tells; None is an error inside a stream."""
    if status is None:
        return Cause.UPSTREAM_ERROR
    return STATUSES.get(status, Cause.BAD_REQUEST if status < 500 else Cause.UPSTREAM_ERROR)


def blamed(
    cause: Cause, target: Target, *, status: int | None = None, message: str = "", wait: float | None = None
) -> Failure:
    """The failure. `message` is the upstream's own, `wait` in seconds. A 404 of no API is a wrong address."""
    if cause is Cause.UNKNOWN_MODEL and not message:
        cause = Cause.UPSTREAM_ERROR
    if cause.value.fault == "upstream":
        shown = f" (status {status})" if status is not None else ""
        return Failure(cause, TOLD[cause].format(model=target.name, status=shown), retry_after=wait)
    said = message[:LONGEST_MESSAGE] or f"The upstream refused the request with status {status} and did not say why."
    return Failure(cause, said, param="messages" if cause is Cause.CONTEXT_TOO_LONG else None)


def malformed(what: str) -> NoReturn:
    raise Failure(Cause.UPSTREAM_MALFORMED, f"The upstream's answer could not be understood: {what}.")


def unfinished(target: Target, choice: int) -> Failure:
    """At the end of the body: a choice has no finish reason."""
    return Failure(
        Cause.UPSTREAM_INTERRUPTED,
        f"The upstream of '{target.name}' ended its answer before it was complete "
        f"(choice {choice} has no finish_reason).",
    )
