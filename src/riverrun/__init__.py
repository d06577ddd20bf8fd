"""riverrun: the Chat Completions API, streaming first, in front of any model."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from riverrun.clients import async_client as async_client
    from riverrun.clients import client as client

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """`riverrun.client` and `riverrun.async_client`, loaded when they are first asked for."""
    if name in ("client", "async_client"):
        import riverrun.clients

        return getattr(riverrun.clients, name)
    raise AttributeError(f"module 'riverrun' has no attribute {name!r}")
