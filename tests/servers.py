"""`riverrun serve` as a process of its own: started, read until it says its address, stopped."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

LISTENING = re.compile(r"listening on (http://\S+/v1)")
START_LIMIT = 60.0
STOP_LIMIT = 45.0


@dataclass
class Served:
    """A running server. `log` grows while it runs."""

    url: str
    process: subprocess.Popen[str]
    log: list[str] = field(default_factory=list)

    @property
    def root(self) -> str:
        return self.url.removesuffix("/v1")

    @property
    def port(self) -> int:
        return int(self.root.rpartition(":")[2])


@contextmanager
def serving(*arguments: str, environ: Mapping[str, str] | None = None) -> Iterator[Served]:
    """Starts `riverrun serve --port 0 ARGUMENTS` and stops it with SIGTERM."""
    command = [sys.executable, "-m", "riverrun", "serve", "--port", "0", *arguments]
    environment = {**os.environ, **(environ or {})}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    log: list[str] = []
    found = threading.Event()
    urls: list[str] = []

    def read(stream: Iterator[str]) -> None:
        for line in stream:
            log.append(line.rstrip())
            if match := LISTENING.search(line):
                urls.append(match[1])
                found.set()
        found.set()

    assert process.stdout is not None
    assert process.stderr is not None
    readers = [threading.Thread(target=read, args=(stream,)) for stream in (process.stdout, process.stderr)]
    for reader in readers:
        reader.start()
    try:
        found.wait(START_LIMIT)
        assert urls, f"the server did not start: {log}"
        yield Served(urls[0], process, log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for reader in readers:
            reader.join()
        process.stdout.close()
        process.stderr.close()
