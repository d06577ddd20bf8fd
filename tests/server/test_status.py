"""What a server tells of its names and targets."""

from __future__ import annotations

import asyncio

import msgspec

from riverrun.backends.upstream import Upstream
from riverrun.config import Config
from riverrun.config.values import decode
from riverrun.engine.backend import Engine
from riverrun.failures import Cause, Failure
from riverrun.runs.upstreams import Upstreams
from riverrun.server.answering import Local, answering
from riverrun.server.status import Overview, Status

CONFIG = msgspec.convert(
    {
        "upstream": {"a": {"base_url": "http://x/v1"}},
        "model": [
            {"name": "m", "aliases": ["n"], "targets": ["a/1"], "fallbacks": {"upstream_busy": ["a/2", "local/tiny"]}}
        ],
    },
    Config,
    dec_hook=decode,
)


def overview() -> Overview:
    engine = Engine({}, CONFIG.engine, Upstream({}), hosts={})
    upstreams = Upstreams({"engine": engine})
    table = answering(CONFIG, {}, Local(["tiny"])).table

    async def look() -> Overview:
        model = table.find("m")
        assert model is not None
        (second, _) = model.fallbacks[Cause.UPSTREAM_BUSY]
        for _ in range(5):
            upstreams.judged(second, Failure(Cause.UPSTREAM_ERROR, "down"))
        return Status(engine, upstreams).of(table, 3)

    return asyncio.run(look())


def test_fallbacks_stand_behind_the_targets_with_their_cause() -> None:
    models = {each.name: each for each in overview().models}
    assert [(each.target, each.state, each.after) for each in models["m"].targets] == [
        ("a/1", "closed", ""),
        ("a/2", "open", "upstream_busy"),
        ("tiny", "unknown", "upstream_busy"),
    ]
    assert (models["m"].alias_of, models["n"].alias_of) == (None, "m")


def test_what_is_told_holds_no_address() -> None:
    told = msgspec.json.encode(overview().told())
    assert b'"running":3' in told
    assert b"http://x" not in told
