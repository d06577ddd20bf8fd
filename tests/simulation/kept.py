"""What is on the tapes of a simulated machine, read without following any of them: no reader must be counted."""

from __future__ import annotations

from pathlib import Path

import msgspec

from riverrun.stream.flow import Ending
from riverrun.tapes.blocks import Blocks
from riverrun.tapes.contract import Head
from riverrun.tapes.records import Begin, Block, Damaged, Ended, Reading
from tests.simulation.replica import Remembering, Replica


class Kept(msgspec.Struct):
    """One tape. `owners` are those that began to write it, by epoch; `endings` should be one, at most."""

    head: Head
    data: bytes
    owners: list[tuple[int, str]]
    endings: list[Ending]

    @property
    def asked(self) -> str:
        """The prompt that it answers."""
        messages: list[dict[str, str]] = msgspec.json.decode(self.head.request)["messages"]
        return messages[-1]["content"]

    @property
    def events(self) -> list[bytes]:
        return [event + b"\n\n" for event in self.data.split(b"\n\n")[:-1]]


def kept(folder: Path, replicas: list[Replica]) -> dict[str, Kept]:
    """All tapes as they are now, by id."""
    found = [each for replica in replicas if replica.process is not None for each in _in_memory(replica)]
    paths = sorted([*folder.glob("tapes/live/*/*.tape"), *folder.glob("tapes/ended/*.tape")])
    found += [each for each in map(_in_file, paths) if each is not None]
    return {each.head.id: each for each in found}


def _in_memory(replica: Replica) -> list[Kept]:
    if not isinstance(replica.tapes, Remembering):
        return []
    found = []
    for tape in replica.tapes._tapes.values():
        head = msgspec.structs.replace(tape.head, request=replica.tapes.requests[tape.head.id])
        endings = [tape.ending] if tape.ending else []
        found.append(Kept(head, _whole(tape.blocks, tape.last), [(1, str(replica.number))], endings))
    return found


def _whole(blocks: Blocks, last: int) -> bytes:
    at, pieces = 0, []
    while at < last:
        piece, at = blocks.after(at)
        pieces.append(piece)
    return b"".join(pieces)


def _in_file(path: Path) -> Kept | None:
    reading, found = Reading(), None
    try:
        for record in reading.feed(path.read_bytes()):
            if isinstance(record, Begin):
                found = found or Kept(record.head, b"", [], [])
                found.owners.append((record.epoch, Path(record.owner).stem))
            elif found is not None and isinstance(record, Block):
                found.data += record.block
            elif found is not None and isinstance(record, Ended):
                found.endings.append(record.ending)
    except Damaged:
        pass
    return found
