"""`riverrun key`: a key for clients, and what to write down of it."""

from __future__ import annotations

import secrets
from typing import Annotated

import msgspec
import typer

from riverrun.config import Config
from riverrun.config.values import HASHED, decode, digest
from riverrun.failures import bad_request

RANDOM_BYTES = 24
"""192 bits; 128 are the least (SEC5)."""


def key(
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="Whose key it is to be.")] = "team",
) -> None:
    """Make a key for clients, and the lines for riverrun.toml.

    The key is shown this once; the file gets only its SHA-256 digest. The key alone is on the first line.
    """
    made = f"rr-{secrets.token_urlsafe(RANDOM_BYTES)}"
    hashed = f"{HASHED}{digest(made).hex()}"
    try:
        msgspec.convert({"tenant": [{"name": tenant, "keys": [hashed]}]}, Config, dec_hook=decode)
    except msgspec.ValidationError:
        raise bad_request(
            f"{tenant!r} can't be a tenant's name: up to 64 letters, digits, dots, dashes and underscores, and not "
            "`default` or `local`, which are riverrun's own."
        ) from None
    typer.echo(made)
    typer.echo(hashed)
    typer.echo(f'\n# for riverrun.toml\n[[tenant]]\nname = "{tenant}"\nkeys = ["{hashed}"]')
