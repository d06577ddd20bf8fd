"""Python runs this at the start of a server that has this folder in PYTHONPATH: the disk of its tapes fails at will.

The file that BROKEN_DISK names holds the number of the error with which every write fails, half of it written.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from riverrun.tapes.disk import Disk

ORDER = Path(os.environ["BROKEN_DISK"])


def failing(self: Disk, file: int, pieces: Sequence[bytes]) -> int:
    if ORDER.exists():
        data = b"".join(pieces)
        os.write(file, data[: len(data) // 2])
        raise OSError(number := int(ORDER.read_text()), os.strerror(number))
    return os.writev(file, pieces)


Disk.append = failing  # type: ignore[method-assign]
