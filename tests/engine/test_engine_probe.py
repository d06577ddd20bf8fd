from __future__ import annotations

import json

from riverrun.engine import probe
from riverrun.engine.probe import Facts

from .fileserver import serving, whole

PROPS = {
    "default_generation_settings": {"n_ctx": 4096, "params": {"seed": 1}},
    "total_slots": 3,
    "chat_template": "{{ tools }}",
    "chat_template_caps": {"supports_tools": True, "supports_system_role": True},
    "modalities": {"vision": True, "audio": False, "smell": True},
}
MODELS = {"data": [{"id": "/path", "meta": {"n_vocab": 151936, "ftype": "Q8_0"}}]}


def test_reads_what_the_engine_says_of_its_model() -> None:
    with serving() as server:
        server.answers["/props"] = whole(json.dumps(PROPS).encode())
        server.answers["/v1/models"] = whole(json.dumps(MODELS).encode())
        facts = probe.ask("unused", server.url, "key")
    assert facts == Facts(3, 4096, 151936, True, ("text", "image"), "Q8_0", "{{ tools }}")


def test_a_model_without_a_template_knows_no_tools() -> None:
    bare = {"default_generation_settings": {"n_ctx": 1}, "total_slots": 1}
    with serving() as server:
        server.answers["/props"] = whole(json.dumps(bare).encode())
        server.answers["/v1/models"] = whole(json.dumps({"data": [{"meta": {"n_vocab": 1}}]}).encode())
        facts = probe.ask("unused", server.url, "key")
    assert facts == Facts(1, 1, 1, False, ("text",), "unknown", "")
