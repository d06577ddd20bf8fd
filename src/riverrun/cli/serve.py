"""`riverrun serve`: the server, from configuration to address."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from random import SystemRandom
from typing import Annotated, Literal

import typer
from rich.panel import Panel

from riverrun import __version__, config
from riverrun.cli.config import default_file
from riverrun.cli.local import chosen_models
from riverrun.cli.terminal import out
from riverrun.config import Config, Loaded
from riverrun.server.answering import local_names
from riverrun.server.build import build
from riverrun.server.host import serve as host
from riverrun.server.limits import limits_of
from riverrun.server.log import to_stderr
from riverrun.server.page import curl_line
from riverrun.server.sockets import Address, Listen
from riverrun.server.steering import Owner
from riverrun.server.workers import parent


def serve(
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="MODEL", help="Catalogue names or GGUF files."),
    ] = None,
    config_file: Annotated[
        Path | None, typer.Option("--config", help="A TOML file; riverrun.toml in this folder is read by itself.")
    ] = None,
    host_name: Annotated[str | None, typer.Option("--host", help="Address to listen on. (default: 127.0.0.1)")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes any free one. (default: 8000)")] = None,
    api_key: Annotated[
        list[str] | None,
        typer.Option(help="A key for clients; needed off loopback. (env: RIVERRUN_API_KEY)"),
    ] = None,
    context: Annotated[int | None, typer.Option(help="Tokens of context per slot.")] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes that answer, for thousands of streams; local models share one engine. (default: 1)"
        ),
    ] = None,
    slots: Annotated[int | None, typer.Option(help="Answers generated at once. (default: 4)")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads of the engine. (default: cores - 1)")] = None,
    gpu_layers: Annotated[int | None, typer.Option(help="Layers on the GPU; 0: none. (default: what fits)")] = None,
    log: Annotated[
        Literal["text", "json"] | None, typer.Option(help="How requests are logged. (default: text)")
    ] = None,
    verbose: Annotated[bool | None, typer.Option("--verbose", help="Show the engine's own log too.")] = None,
) -> None:
    """Serve the Chat Completions API on this machine.

    Without a model it serves the default one, fetched on the first start, and every other model that is here.
    """
    overrides: dict[str, dict[str, object]] = {
        "server": {"host": host_name, "port": port, "api_keys": api_key or None, "workers": workers},
        "engine": {
            "models": models or None,
            "context": context,
            "slots": slots,
            "threads": threads,
            "gpu_layers": gpu_layers,
        },
        "log": {"format": log, "verbose": verbose},
    }
    file = config_file or default_file()
    environ = dict(os.environ)

    def read() -> Loaded:
        return config.load(file, overrides, environ)

    loaded = read()
    settings = loaded.config
    to_stderr(settings.log)
    served = chosen_models(local_names(settings))
    owner = Owner(environ, file, read)

    def ready(address: Address) -> None:
        owner.publish(address)
        _greet(address, settings, example(settings, served))

    server = settings.server
    with loaded.hiding():
        if server.workers > 1:
            parent.serve(settings, served, owner, loaded.variables, ready=ready)
            return
        app = build(settings, served, SystemRandom(), owner)
    keyed = bool(settings.owners)
    host(app, Listen(server.host, server.port), limits_of(server), has_keys=keyed, drain=server.drain, ready=ready)


def example(settings: Config, served: Iterable[str]) -> str:
    """A name to try: the first that is configured, or else a model of this machine."""
    configured = [model.name for model in settings.model if "*" not in model.name]
    return next(iter((*configured, *served)), "MODEL")


def _greet(address: Address, settings: Config, model: str) -> None:
    """What a person needs first: the address, and a line to paste."""
    base = f"{address.url}/v1"
    keyed = bool(settings.owners)
    if not sys.stdout.isatty():
        out.print(f"riverrun {__version__} is listening on {base}", soft_wrap=True)
        out.print(curl_line(base, model, key=keyed), soft_wrap=True)
        return
    out.print(Panel.fit(f"riverrun {__version__} is listening on [bold]{base}[/bold]", border_style="cyan"))
    out.print("Try it:\n")
    out.print(curl_line(base, model, key=keyed), soft_wrap=True, style="green")
    out.print("\nCtrl-C stops the server.\n", style="dim")
