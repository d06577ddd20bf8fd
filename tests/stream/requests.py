"""Requests for the tests of this room."""

from __future__ import annotations

import json
from typing import Any

from riverrun.wire.request import Chat, parse_chat

HELLO = [{"role": "user", "content": "Hello"}]


def chat(**body: Any) -> Chat:
    return parse_chat(json.dumps({"model": "m", "messages": HELLO, **body}).encode())
