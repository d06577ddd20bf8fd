"""Runs one model with llama.cpp, in the engine process. The only module that imports the engine.

It checks before it loads, gives the engine its settings, and asks the loaded model what it can do.
"""

from __future__ import annotations

import os
import secrets
from importlib import metadata
from pathlib import Path

import xllamacpp
from xllamacpp import CommonParams

from riverrun.engine import gguf, memory, probe
from riverrun.engine.cores import engine_threads
from riverrun.engine.folder import digest
from riverrun.engine.settings import DEFAULT_CONTEXT, ChildSettings, NotReady, Ready, Report, fingerprint

CPU_BATCH = 256
"""A prompt in one slot silences the others for as long as one batch takes: 3.5 s at 256 on two cores, 21 s at 2048."""
GPU_BATCH = 2048
GPU_MICRO_BATCH = 512
PROMPT_CACHE = 1024
"""MiB at most for the prompts of slots that were given to others; a quarter of what is free if that is less."""
SOCKET = "e.sock"

_KEEP: list[object] = []
"""The engine stops when its object is collected."""


def serve(settings: ChildSettings) -> Report:
    """Loads the model and serves it from now on. Raises ModelError where it can't; blocks while it loads."""
    path = Path(settings.model)
    model = gguf.read(path)
    context = min(settings.context or DEFAULT_CONTEXT, model.context or DEFAULT_CONTEXT)
    gpu = settings.gpu_layers != 0 and any("GPU" in str(each["type"]) for each in xllamacpp.get_device_info())
    batch = settings.batch or (GPU_BATCH if gpu else CPU_BATCH)
    needed = memory.need(model, path.stat().st_size, context, settings.slots, batch)
    free = memory.available()
    if not gpu:
        memory.check(settings.name, needed, free)
    parameters = _parameters(CommonParams(), settings, context, batch)
    parameters.cache_ram_mib = min(PROMPT_CACHE, max(0, free - needed.total) // 4 // 2**20)
    os.umask(0o077)
    try:
        server = xllamacpp.Server(parameters)
    except RuntimeError:  # its text says nothing; the log does, which the parent has
        return NotReady(f"the engine can't load {path}", "engine")
    _KEEP.append(server)
    return _ready(path, parameters.hostnames[0], server.listening_address, next(iter(parameters.api_keys), None))


def _parameters(parameters: CommonParams, settings: ChildSettings, context: int, batch: int) -> CommonParams:
    """The engine's own settings: a whole context for each slot, no page, no port but the one asked for."""
    threads = settings.threads or engine_threads()
    parameters.model.path = settings.model
    parameters.ui = False
    # A conversation that ends with the assistant's words asks for an answer to them, as in the official API; the
    # engine's default is to go on writing them, and to echo them.
    parameters.prefill_assistant = False
    parameters.n_parallel = settings.slots
    parameters.n_ctx = context * settings.slots
    parameters.n_batch = batch
    parameters.n_ubatch = min(batch, GPU_MICRO_BATCH)
    parameters.cpuparams.n_threads = threads
    parameters.cpuparams_batch.n_threads = threads
    if settings.gpu_layers is not None:
        parameters.n_gpu_layers = settings.gpu_layers
    if settings.transport == "unix":
        parameters.hostnames = [f"{settings.folder}/{SOCKET}"]
    else:
        parameters.hostnames, parameters.api_keys = ["127.0.0.1"], [secrets.token_urlsafe(32)]
    return parameters


def _ready(path: Path, address: str, listening: str, key: str | None) -> Ready:
    facts = probe.ask(address, listening, key)
    engine = f"xllamacpp {metadata.version('xllamacpp')}"
    return Ready(
        base_url=listening if key else f"unix:{address}:/",
        key=key,
        slots=facts.slots,
        context=facts.context,
        vocabulary=facts.vocabulary,
        tools=facts.tools,
        modalities=facts.modalities,
        fingerprint=fingerprint(engine, digest(path), facts.quantisation, facts.template),
    )
