"""The command line: one verb per file. What goes wrong is one clear line and an exit code, never a traceback.

Exit codes: 0 done, 1 it failed (the line says why), 2 the command itself was wrong, 130 interrupted.
"""

from __future__ import annotations

import sys

import typer

from riverrun import __version__
from riverrun.cli import chat, check, config, key, models, pull, serve, usage
from riverrun.cli.terminal import complain
from riverrun.engine.errors import ModelError
from riverrun.failures import Failure
from riverrun.server.sockets import HostError

app = typer.Typer(
    name="riverrun",
    help="The Chat Completions API, streaming first, in front of any model.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("serve")(serve.serve)
app.command("chat")(chat.chat)
app.command("pull")(pull.pull)
app.command("models")(models.models)
app.command("check")(check.check)
app.command("key")(key.key)
app.command("usage")(usage.usage)
app.add_typer(config.app, name="config")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"riverrun {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    """The Chat Completions API, streaming first, in front of any model: one that it runs itself, or any upstream."""


def main() -> None:
    """Runs the command that was typed."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs one command; returns its exit code. A command that was typed wrong ends in typer's own message and 2."""
    try:
        app(arguments, prog_name="riverrun")
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 0
    except (Failure, HostError, ModelError, OSError) as error:
        return complain(str(error))
    except KeyboardInterrupt:
        return 130
    return 0
