"""Images and files in a request: their bytes with a media type, or where they lie. Nothing is fetched."""

from __future__ import annotations

from base64 import b64decode

import msgspec

from riverrun.dialects.draft import invalid
from riverrun.dialects.history import media_type
from riverrun.wire.messages import File


class Data(msgspec.Struct, frozen=True):
    """Bytes as base64, and what they are."""

    media_type: str
    base64: str


def pictured(url: str, at: str) -> Data | str:
    """The data in a `data:` URL, or the address itself. Raises Failure (400) for a `data:` URL that is not base64."""
    return _data(url, at) if url.startswith("data:") else url


def attached(file: File, at: str) -> Data | str:
    """A file's data, or the id of an uploaded one. Raises Failure (400) where there is neither, or no media type."""
    if file.file_data is None:
        if file.file_id is None:
            raise invalid(at, "the file has neither 'file_data' nor 'file_id'")
        return file.file_id
    if file.file_data.startswith("data:"):
        return _data(file.file_data, at)
    kind = media_type(file.filename)
    if kind is None:
        raise invalid(at, "what kind of file it is can't be seen; send 'file_data' as a 'data:' URL with a media type")
    return Data(kind, file.file_data)


def plain(data: Data, at: str) -> str:
    """The text of a text file. Raises Failure (400) where it is not UTF-8 in base64."""
    try:
        return b64decode(data.base64, validate=True).decode()
    except ValueError:
        raise invalid(at, "the file's data is not UTF-8 text in base64") from None


def _data(url: str, at: str) -> Data:
    head, comma, data = url.removeprefix("data:").partition(",")
    kind, *parameters = head.split(";")
    if not comma or "base64" not in parameters or not kind:
        raise invalid(at, "a 'data:' URL must have a media type and base64 data: 'data:image/png;base64,…'")
    return Data(kind.lower(), data)
