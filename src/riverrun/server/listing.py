"""Lists as the official API cuts them into pages: `after`, `limit`, `order`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Generic, Literal, TypeVar, cast

import msgspec

from riverrun.failures import bad_request
from riverrun.wire.jsonvalue import JsonObject, JsonValue

MOST = 100
"""Things in one page; 20 if the caller does not say (as the official API has it)."""

Limit = Annotated[int, msgspec.Meta(ge=1, le=MOST)]
Thing = TypeVar("Thing")


class Page(msgspec.Struct, frozen=True):
    """What a list may be asked for. `order` is by creation."""

    after: str | None = None
    limit: Limit = 20
    order: Literal["asc", "desc"] = "asc"
    model: str | None = None


class Cut(msgspec.Struct, Generic[Thing], frozen=True):
    """The things of one page, and whether there are more behind them."""

    things: list[Thing]
    more: bool


def page(query: Mapping[str, str]) -> Page:
    """The page that a query asks for; what it does not know it leaves alone. Raises Failure."""
    named = {name: value for name, value in query.items() if name in Page.__struct_fields__}
    try:
        return msgspec.convert(named, Page, strict=False)
    except msgspec.ValidationError as error:
        raise bad_request(f"Invalid query: {error}.") from None


def cut(things: Sequence[Thing], ids: Sequence[str], asked: Page) -> Cut[Thing]:
    """The page of these, which are in the order of their making and have these ids. Raises Failure."""
    places = list(range(len(ids)))
    if asked.order == "desc":
        places.reverse()
    if asked.after is not None:
        if asked.after not in ids:
            raise bad_request("Invalid query: `after` names nothing in this list.", "after")
        places = places[places.index(ids.index(asked.after)) + 1 :]
    return Cut([things[place] for place in places[: asked.limit]], len(places) > asked.limit)


def listed(data: list[JsonObject], *, more: bool) -> JsonObject:
    """A page as it is sent."""
    return {
        "object": "list",
        "data": cast("JsonValue", data),
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": more,
    }
