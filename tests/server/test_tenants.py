"""Whatever two tenants do in whatever order, neither sees, ends or counts anything of the other's (V8, SEC6)."""

import asyncio
from random import Random

import pytest

from riverrun.backends.scripted import text
from tests import virtual
from tests.runs.scenes import Scene
from tests.server.calls import Call, ask, get
from tests.server.test_app import application

TENANTS = {name: {"authorization": f"Bearer a-key-of-tenant-{name}"} for name in ("one", "two")}
KEYS = ("a", "b", "c")
TURNS = 150


@pytest.mark.parametrize("seed", range(8))
def test_two_tenants_with_the_same_keys(seed: int) -> None:
    random = Random(seed)

    async def main() -> None:
        scene = Scene(text("one two three", pace=1.0))
        app = application(scene, keys=("a-key-of-tenant-one", "a-key-of-tenant-two"))
        ids: dict[str, dict[str, str]] = {name: {} for name in TENANTS}  # path to key, of what is there
        for _ in range(TURNS):
            name, other = random.sample(sorted(TENANTS), 2)
            mine, theirs = ids[name], ids[other]
            action = random.choice(("ask", "ask", "get", "steal", "delete", "list", "wait"))
            if action == "ask":
                key = random.choice(KEYS)
                answer = await ask(app, {"store": True}, idempotency_key=key, **TENANTS[name]).done()
                path = answer.headers["location"]
                assert path not in theirs
                known = [each for each, of in mine.items() if of == key]
                assert known in ([], [path])
                assert (answer.headers.get("idempotent-replayed") == "true") == bool(known)
                mine[path] = key
            elif action == "get" and mine:
                assert (await get(app, random.choice(sorted(mine)), **TENANTS[name]).done()).status == 200
            elif action == "steal" and theirs:
                path = random.choice(sorted(theirs))
                method, suffix = random.choice(
                    [("GET", ""), ("GET", "?stream=true"), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/messages")]
                )
                assert (await Call(app, method, path + suffix, **TENANTS[name]).done()).status == 404
            elif action == "delete" and mine:
                path = random.choice(sorted(mine))
                assert (await Call(app, "DELETE", path, **TENANTS[name]).done()).status == 200
                del mine[path]
            elif action == "list":
                listed = (await get(app, "/v1/chat/completions?limit=100", **TENANTS[name]).done()).json["data"]
                assert isinstance(listed, list)
                assert {f"/v1/chat/completions/{each['id']}" for each in listed} == set(mine)
            else:
                await asyncio.sleep(random.random() * 100)

    virtual.run(main())
