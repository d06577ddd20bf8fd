"""The embedded engine as a backend: a request waits for its model and a slot, and goes to the engine like upstream.

Knows which models can run here; the HTTP is the upstream client's, which it is given.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from riverrun.backends.contract import Backend, Started
from riverrun.config import EngineConfig
from riverrun.engine.host import Host, Status
from riverrun.engine.residency import Residency
from riverrun.engine.settings import ChildSettings, Ready
from riverrun.engine.slots import Bounds, Permit
from riverrun.failures import Cause, Failure
from riverrun.routing.target import Deadlines, Target
from riverrun.stream.ask import Ask
from riverrun.stream.deltas import Delta
from riverrun.stream.flow import Call, Cancelled, Ending, Refused, Sink

Transport = Literal["unix", "loopback"]
TRANSPORT: Transport = "unix" if hasattr(socket, "AF_UNIX") else "loopback"

log = logging.getLogger("riverrun.engine")

ROW = "engine"
DEADLINES = Deadlines(connect=5.0, first_token=None, idle=60.0, total=None)
"""A long prompt on a slow machine takes as long as it takes: the process's health is watched instead."""
BROKEN = {Cause.UPSTREAM_UNREACHABLE, Cause.UPSTREAM_INTERRUPTED}
INTERRUPTED = "The local engine stopped while it answered; it is being started again. Send the request again."


class Hosting(Protocol):
    """One local model as its requests see it: `Host` runs it in this process's care, a worker borrows its parent's."""

    @property
    def status(self) -> Status: ...

    async def enter_queue(self, caller: str, ask: str) -> tuple[Permit, Ready]: ...

    def doubt(self) -> None: ...

    async def close(self) -> None: ...


class Engine:
    """Runs the models in `models` (name to GGUF file), each in a process of its own, started at first use.

    With `hosts` somebody else runs them, and `models` and `config` are not looked at.
    """

    def __init__(
        self,
        models: Mapping[str, Path],
        config: EngineConfig,
        upstream: Backend,
        transport: Transport = TRANSPORT,
        hosts: Mapping[str, Hosting] | None = None,
    ) -> None:
        self._upstream = upstream
        self.hosts = hosts if hosts is not None else _own(models, config, transport)

    def names(self) -> tuple[str, ...]:
        """The models that can be asked, the default first."""
        return tuple(self.hosts)

    def target(self, name: str) -> Target:
        """Where a request for this model goes; what the model can do is known once it runs."""
        return Target(
            name=name,
            model=name,
            base_url="",
            row=ROW,
            deadlines=DEADLINES,
            n="fan-out",
            draw_seed=True,
            deterministic=True,
            prefill=True,
            prefill_structured=True,
            watched=True,
        )

    def status(self) -> tuple[Status, ...]:
        """How each model stands."""
        return tuple(host.status for host in self.hosts.values())

    def start(self, ask: Ask, target: Target, sink: Sink, started: Started) -> Call:
        """Begins one call; see Backend. The target's `model` names the model."""
        host = self.hosts.get(target.model)
        if host is None:
            unknown = Failure(Cause.UNKNOWN_MODEL, f"The model {target.model!r} is not on this machine.")
            asyncio.get_running_loop().call_soon(sink.end, Refused(unknown))
            return _Over()
        return _LocalCall(host, self._upstream, ask, target, sink, started)

    async def warm(self, name: str) -> Target:
        """Loads a model before anybody asks. Its target as it turned out; raises Failure where it can't run."""
        permit, ready = await self.hosts[name].enter_queue("riverrun", "warm")
        permit.release()
        return completed(self.target(name), ready)

    async def close(self) -> None:
        """Ends every engine process; calls that still run end with a failure."""
        await asyncio.gather(*(host.close() for host in self.hosts.values()))


def completed(target: Target, ready: Ready) -> Target:
    """The target with what the running engine says of its model."""
    return msgspec.structs.replace(
        target,
        base_url=ready.base_url,
        key=ready.key,
        fingerprint=ready.fingerprint,
        tools="native" if ready.tools else "schema",
        context=ready.context,
        vocabulary=ready.vocabulary,
        modalities=ready.modalities,
    )


class _LocalCall:
    """A call that first waits for its slot. It stands between the upstream and the sink to free the slot at the end.

    Where the engine dies under it, its run asks again, and then waits here for the next engine process.
    """

    def __init__(
        self, host: Hosting, upstream: Backend, ask: Ask, target: Target, sink: Sink, started: Started
    ) -> None:
        self._host = host
        self._upstream = upstream
        self._ask = ask
        self._target = target
        self._sink = sink
        self._started = started
        self._permit: Permit | None = None
        self._inner: Call | None = None
        self._ended = False
        self._task = asyncio.create_task(self._begin())
        self._task.add_done_callback(self._begun)

    def cancel(self) -> None:
        if self._inner is not None:
            self._inner.cancel()
        else:
            self._task.cancel()
            self.end(Cancelled())

    def push(self, deltas: list[Delta]) -> None:
        self._sink.push(deltas)

    def end(self, ending: Ending) -> None:
        if self._ended:
            return
        self._ended = True
        broken = isinstance(ending, Refused) and ending.failure.cause in BROKEN
        if broken:
            self._host.doubt()  # before the slot is free: nobody is sent to a dead engine
            ending = Refused(interrupted())
        if self._permit is not None:
            self._permit.release(cut=broken)
        self._sink.end(ending)

    async def _begin(self) -> None:
        try:
            self._permit, ready = await self._host.enter_queue(self._ask.caller, self._ask.id)
        except Failure as failure:
            self.end(Refused(failure))
            return
        if self._ended:
            self._permit.release()
            return
        self._inner = self._upstream.start(self._ask, completed(self._target, ready), self, self._started)

    def _begun(self, task: asyncio.Task[None]) -> None:
        """A bug of ours must not leave the client waiting and the slot taken."""
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("The call of a local model could not begin.", exc_info=error)
            self.end(Refused(Failure(Cause.INTERNAL, "The server failed; its log has the details.")))


class _Over:
    """A call that was refused at once."""

    def cancel(self) -> None:
        pass


def interrupted() -> Failure:
    """A broken connection to our own process means that it died: the client is told that, and not about sockets."""
    return Failure(Cause.UPSTREAM_INTERRUPTED, INTERRUPTED)


def _own(models: Mapping[str, Path], config: EngineConfig, transport: Transport) -> Mapping[str, Hosting]:
    residency, bounds = Residency(config.resident), Bounds(config.queue, config.wait)
    return {
        name: Host(_settings(name, path, config, transport), bounds, residency, config.idle_stop)
        for name, path in models.items()
    }


def _settings(name: str, path: Path, config: EngineConfig, transport: Transport) -> ChildSettings:
    return ChildSettings(
        name=name,
        model=str(path),
        folder="",
        transport=transport,
        context=config.context,
        slots=config.slots,
        threads=config.threads,
        gpu_layers=config.gpu_layers,
        batch=config.batch,
    )
