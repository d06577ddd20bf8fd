"""What the surfaces see of a request."""

import re
from pathlib import Path

from riverrun.server.exchange import READ

SERVER = Path(__file__).parents[2] / "src" / "riverrun" / "server"
LOOKED_AT = re.compile(r'headers\.get\(\s*"([^"]+)"|headers\["([^"]+)"\]')


def test_every_header_that_anything_looks_at_is_decoded() -> None:
    """Nobody hears of one that is not: it looks as if it had not been sent."""
    sources = "".join(path.read_text() for path in SERVER.rglob("*.py"))
    names = {one or other for one, other in LOOKED_AT.findall(sources)}
    assert names <= set(READ.values())
    assert len(names) > 5
