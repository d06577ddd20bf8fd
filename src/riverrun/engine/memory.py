"""What a model needs in memory, against what is free. Sizes are in bytes. It loads nothing."""

from __future__ import annotations

from pathlib import Path

import msgspec
import psutil

from riverrun.engine.errors import DoesNotFit
from riverrun.engine.gguf import Gguf

KV_BYTES = 2
"""The engine keeps keys and values as 16-bit floats."""
OVERHEAD = 128 * 1024 * 1024
"""Of the process itself: the interpreter, the engine's code and its fixed buffers."""
CGROUP = Path("/sys/fs/cgroup")


class Need(msgspec.Struct, frozen=True):
    """The parts of what a model needs: its weights, the context of all slots, and working buffers."""

    weights: int
    context: int
    working: int

    @property
    def total(self) -> int:
        return self.weights + self.context + self.working


def need(model: Gguf, file_size: int, context: int, slots: int, batch: int) -> Need:
    """What the model needs with `slots` slots of `context` tokens each and prompts worked on `batch` tokens at once."""
    logits = 4 * batch * model.vocabulary
    return Need(file_size, model.kv_width * KV_BYTES * context * slots, OVERHEAD + logits)


def available() -> int:
    """What can be taken without swapping, within the container's limit if there is one."""
    free: int = psutil.virtual_memory().available
    return min(free, cgroup_free(CGROUP))


def cgroup_free(folder: Path) -> int:
    """What the control group (v2) at `folder` still allows; without a limit, more than any machine has."""
    try:
        limit, used = (folder / "memory.max").read_text(), (folder / "memory.current").read_text()
        return max(0, int(limit) - int(used))
    except (OSError, ValueError):  # no such file, or "max"
        return 1 << 62


def check(name: str, needed: Need, free: int) -> None:
    """Raises DoesNotFit, naming the setting that helps most, where the model needs more than is free."""
    if needed.total <= free:
        return
    if needed.weights + needed.working > free:
        advice = "free some memory or choose a smaller model"
    else:
        advice = "lower engine.context or engine.slots"
    raise DoesNotFit(
        f"{name} needs {_gib(needed.total)} of memory ({_gib(needed.weights)} weights, {_gib(needed.context)} context, "
        f"{_gib(needed.working)} working) and {_gib(free)} is available: {advice}."
    )


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"
