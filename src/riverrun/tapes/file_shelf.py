"""What lies beside stored completions: their places in their tenant's list, and metadata that replaced their own."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from riverrun.tapes.file_places import MISSING, Places, digest

log = logging.getLogger("riverrun.tapes")

MARKER = re.compile(r"([0-9]{12})-(.+)")


class Marker(NamedTuple):
    """A place in a list. `made` is its file's time: seconds, as `created` is, but with their fractions."""

    created: int
    made: float
    id: str
    path: Path


class Shelf:
    def __init__(self, places: Places) -> None:
        self._places = places
        self._known: set[str] = set()  # what was logged already

    def markers(self, tenant: str) -> list[Marker]:
        """A tenant's list, the oldest first; what is no marker is passed over. Raises OSError."""
        folder = self._places.stored / digest(tenant)
        try:
            found = list(self._places.disk.files(folder))
        except MISSING:
            return []
        named = [(MARKER.fullmatch(name), file.mtime, folder / name) for name, file in found]
        return sorted(Marker(int(name[1]), made, name[2], path) for name, made, path in named if name)

    def marker(self, tenant: str, id: str) -> Path | None:
        """This tape's place in this tenant's list. Raises OSError."""
        return next((marker.path for marker in self.markers(tenant) if marker.id == id), None)

    def annotate(self, id: str, metadata: Mapping[str, str], until: float) -> None:
        """Into a file of its own, the same for tapes that are live somewhere and for ended ones. Raises OSError."""
        self._places.put(self._places.metadata / id, msgspec.json.encode(dict(metadata)), until)

    def metadata(self, id: str) -> dict[str, str] | None:
        """What replaced a tape's own. None: nothing did, or it was lost with the machine. Raises OSError."""
        path = self._places.metadata / id
        data = self._places.small(path)
        if data is None:
            return None
        try:
            return msgspec.json.decode(data, type=dict[str, str])
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            self.say(f"the metadata in {path} can't be read, so {id} has that of its request: {error}")
            return None

    def say(self, words: str) -> None:
        """Logs it, once."""
        if words not in self._known:
            self._known.add(words)
            log.warning("%s", words)
