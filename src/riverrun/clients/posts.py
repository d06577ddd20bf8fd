"""POST …/chat/completions before its answer: its key, its repeats, and what is known of the server. Does no I/O itself.

The SDK builds its automatic retries anew, so nothing but `x-stainless-retry-count` and the same body ties them to the
attempt that failed. `Keys` hands the failed attempt's key to the next one with the next count, each key once: two
requests that run at the same time are never given one key, however equal they are.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Mapping, MutableMapping
from random import Random
from typing import Literal

from riverrun.clients.patience import Patience, Waiting

PATH = "/chat/completions"
LOCATION = re.compile(r"/chat/completions/([A-Za-z0-9_-]{1,128})\Z")
"""No dots: an id becomes a part of a path."""

KEY_BITS = 128
KEYS_KEPT = 1024
"""Keys of failed attempts. Those of the last attempts are never asked for, so that the oldest must go at some time."""

NOT_REPEATED = frozenset(
    [
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "idempotency-key",
        "transfer-encoding",
    ]
)
"""The POST's headers that its GET does not have; the others (authorization, cookies, …) it has as they were."""

Kind = Literal["events", "whole", "foreign"]


class Keys:
    """The idempotency keys of attempts that failed, until their retries come for them."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._failed: OrderedDict[tuple[bytes, int], list[str]] = OrderedDict()

    def take(self, request: bytes, count: int) -> str:
        """The key of a request (its digest) that is sent for the `count`th time again."""
        try:
            return self._failed.get((request, count - 1), []).pop()
        except IndexError:  # none failed, or another thread's retry was faster
            return f"{self._random.getrandbits(KEY_BITS):032x}"

    def failed(self, request: bytes, count: int, key: str) -> None:
        self._failed.setdefault((request, count), []).append(key)
        if len(self._failed) > KEYS_KEPT:
            self._failed.popitem(last=False)


class Post:
    """One attempt of the SDK, which may be several of ours. The headers it needs are added to those it is given."""

    def __init__(self, posts: Posts, url: str, headers: MutableMapping[str, str], body: bytes) -> None:
        self._posts = posts
        self._origin = url.partition(PATH)[0]
        self._digest = hashlib.sha256(url.encode() + b"\n" + body).digest()
        count = headers.get("x-stainless-retry-count", "0")
        self._count = int(count) if count.isdigit() else 0
        if "idempotency-key" not in headers:
            headers["idempotency-key"] = posts.keys.take(self._digest, self._count)
        headers.setdefault("x-riverrun-on-disconnect", "grace")
        self._key = headers["idempotency-key"]
        self._waiting = Waiting(posts.patience, posts.limit(self._origin), posts.random)

    def lost(self, now: float) -> float | None:
        """Seconds to wait before the same POST again, or None: the failure is the SDK's."""
        pause = self._waiting.pause(now)
        if pause is None:
            self.failed()
        return pause

    def failed(self) -> None:
        """The SDK will hear of a failure, and may try again."""
        self._posts.keys.failed(self._digest, self._count, self._key)

    def answered(self, status: int, headers: Mapping[str, str]) -> Kind:
        """Whose answer it is: a riverrun's stream or whole completion, or none that is known here."""
        if status >= 400:
            self.failed()
            return "foreign"
        ours = status == 200 and completion_id(headers) is not None
        self._posts.met(self._origin, ours)
        if not ours:
            return "foreign"
        return "events" if headers.get("content-type", "").startswith("text/event-stream") else "whole"


class Posts:
    """What all POSTs of one client share."""

    def __init__(self, patience: Patience, random: Random) -> None:
        self.patience = patience
        self.random = random
        self.keys = Keys(random)
        self._is_riverrun: dict[str, bool] = {}

    def begin(self, method: str, url: str, headers: MutableMapping[str, str], body: bytes) -> Post | None:
        """None: no request that can be resumed."""
        wanted = method == "POST" and url.partition("?")[0].endswith(PATH)
        return Post(self, url, headers, body) if wanted else None

    def limit(self, origin: str) -> float:
        """Seconds for which a POST without any answer is sent again: none where the server is no riverrun."""
        if origin not in self._is_riverrun:
            return min(self.patience.first_contact, self.patience.give_up_after)
        return self.patience.give_up_after if self._is_riverrun[origin] else 0.0

    def met(self, origin: str, is_riverrun: bool) -> None:
        self._is_riverrun[origin] = is_riverrun


def completion_id(headers: Mapping[str, str]) -> str | None:
    """The completion's id, where the answer is a riverrun's, in plain bytes.

    Only the id is taken from `location`. The rest of the address is the one that was asked, so that it is right behind
    a proxy that rewrites paths, and a key never goes to another host.
    """
    found = LOCATION.search(headers.get("location", ""))
    plain = headers.get("content-encoding", "identity") == "identity"
    return found[1] if found and plain else None


def headers_to_resume(headers: Mapping[str, str], cursor: Mapping[str, str]) -> dict[str, str]:
    """The GET's headers, from the POST's and the cursor."""
    kept = {name: value for name, value in headers.items() if name.lower() not in NOT_REPEATED}
    return kept | {"accept": "text/event-stream", "accept-encoding": "identity"} | dict(cursor)
