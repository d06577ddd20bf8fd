"""The engine process: `python -m riverrun.engine.child`. Lives as long as its parent, and reports once.

Reads one JSON line of settings from stdin, answers with one on stdout, and leaves when stdin ends, which it does even
when the parent is killed. What runs the model is `llama`; its own talk goes to stderr.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import sys
import threading

import msgspec

from riverrun.engine.errors import DoesNotFit, ModelError
from riverrun.engine.settings import ChildSettings, NotReady, Report

PR_SET_PDEATHSIG = 1
NOT_INSTALLED = 'the engine is not installed; install it with: pip install "riverrun[local]"'


def main() -> None:
    """Runs until stdin ends. Never returns: the engine's threads would keep the process."""
    report_to = _take_stdout()
    settings = msgspec.json.decode(sys.stdin.buffer.readline(), type=ChildSettings)
    _leave_signals_to_parent()
    _die_with_parent(signal.SIGKILL)
    threading.Thread(target=_watch_parent, args=(settings.folder,), daemon=True).start()
    report = _run(settings)
    _die_with_parent(0)
    os.write(report_to, msgspec.json.encode(report) + b"\n")
    if isinstance(report, NotReady):
        _leave(settings.folder, 1)
    threading.Event().wait()


def _take_stdout() -> int:
    """Keeps stdout for the report alone: what native code prints there goes to stderr."""
    kept = os.dup(1)
    os.dup2(2, 1)
    return kept


def _leave_signals_to_parent() -> None:
    """A service's SIGTERM may reach every process of the group, but only the parent knows when streams are done."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _die_with_parent(by: int) -> None:
    """The engine holds the interpreter while it loads, so the watch on stdin can't run then: Linux kills us instead.

    Afterwards (signal 0) the watch does it, because it also removes the folder.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, by)


def _watch_parent(folder: str) -> None:
    while os.read(0, 4096):
        pass
    _leave(folder, 0)


def _leave(folder: str, status: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(status)


def _run(settings: ChildSettings) -> Report:
    try:
        from riverrun.engine import llama  # needs the [local] extra: a missing one is reported, not raised

        return llama.serve(settings)
    except DoesNotFit as error:
        return NotReady(str(error), "resources")
    except ModelError as error:
        return NotReady(str(error))
    except ImportError as error:
        return NotReady(f"{NOT_INSTALLED} ({error}).")


if __name__ == "__main__":
    main()
