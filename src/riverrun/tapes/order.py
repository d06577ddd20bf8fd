"""The order in which a list of tapes is read, from ids alone: nothing is opened to be skipped."""

from __future__ import annotations

from riverrun.failures import bad_request


def behind(ids: list[str], after: str | None, *, newest_first: bool) -> list[str]:
    """Of these ids, the oldest first, those behind `after` in the order that is wanted. Raises Failure."""
    ordered = ids[::-1] if newest_first else ids
    if after is None:
        return ordered
    if after not in ordered:
        raise bad_request("Invalid query: `after` names nothing in this list.", "after")
    return ordered[ordered.index(after) + 1 :]
