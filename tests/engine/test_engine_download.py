from __future__ import annotations

import hashlib
import os
import random
from pathlib import Path

import pytest

from riverrun.engine.download import FRUITLESS, DiskFull, Expected, download
from riverrun.engine.errors import SourceFailed
from riverrun.engine.web import Web

from .fileserver import FileServer, in_turn, ranged, refuse, send, serving, whole

BODY = random.Random(1).randbytes(100_000)
KNOWN = Expected(len(BODY), hashlib.sha256(BODY).hexdigest())


def get(server: FileServer, part: Path, expected: Expected = KNOWN) -> list[tuple[int, int | None]]:
    """Downloads /f to `part` without pauses, and gives the progress."""
    seen: list[tuple[int, int | None]] = []
    download(Web(), f"{server.url}/f", part, expected, lambda done, total: seen.append((done, total)), lambda _: None)
    return seen


def test_a_whole_file_comes_with_its_progress(tmp_path: Path) -> None:
    with serving() as server:
        server.answers["/f"] = ranged(BODY)
        seen = get(server, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == BODY
    assert seen[-1] == (len(BODY), len(BODY))


def test_each_break_is_resumed_where_it_was(tmp_path: Path) -> None:
    with serving() as server:
        server.answers["/f"] = ranged(BODY, drop_after=30_000)
        seen = get(server, tmp_path / "f")
        ranges = [asked for _, asked in server.seen]
    assert (tmp_path / "f").read_bytes() == BODY
    assert ranges == [None, "bytes=30000-", "bytes=60000-", "bytes=90000-"]
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert {total for _, total in seen} == {len(BODY)}


def test_a_part_of_an_earlier_run_is_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(BODY[:777])
    with serving() as server:
        server.answers["/f"] = ranged(BODY)
        get(server, tmp_path / "f")
        assert server.seen == [("/f", "bytes=777-")]
    assert (tmp_path / "f").read_bytes() == BODY


def test_a_server_that_ignores_the_range_starts_over(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"old" * 100)
    with serving() as server:
        server.answers["/f"] = whole(BODY)
        get(server, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == BODY


def test_a_complete_part_is_only_checked(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(BODY)
    with serving() as server:
        get(server, tmp_path / "f")
        assert server.seen == []


def test_a_part_longer_than_the_file_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(BODY + b"more")
    with serving() as server:
        server.answers["/f"] = ranged(BODY)
        get(server, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == BODY


@pytest.mark.parametrize("expected", [KNOWN, Expected(sha256=KNOWN.sha256)])
def test_other_bytes_are_refused_and_not_kept(tmp_path: Path, expected: Expected) -> None:
    with serving() as server:
        server.answers["/f"] = whole(BODY[::-1])
        with pytest.raises(SourceFailed, match=f"SHA-256 .* where the file has {KNOWN.sha256}"):
            get(server, tmp_path / "f", expected)
    assert not (tmp_path / "f").exists()


def test_another_size_is_refused_before_it_comes(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(BODY[:10])
    with serving() as server:
        server.answers["/f"] = whole(BODY + b"x")
        with pytest.raises(SourceFailed, match="has 100001 bytes, where 100000 are right"):
            get(server, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == BODY[:10]


@pytest.mark.parametrize("status", [401, 404, 410])
def test_a_refusal_is_said(tmp_path: Path, status: int) -> None:
    with serving() as server:
        server.answers["/f"] = refuse(status)
        with pytest.raises(SourceFailed, match=f"answered {status}"):
            get(server, tmp_path / "f")
        assert len(server.seen) == 1


def test_a_server_that_is_busy_for_a_moment_is_asked_again(tmp_path: Path) -> None:
    with serving() as server:
        server.answers["/f"] = in_turn(refuse(503), ranged(BODY))
        get(server, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == BODY


def test_a_redirect_is_followed(tmp_path: Path) -> None:
    with serving() as server:
        server.answers["/f"] = lambda handler: send(handler, 302, b"", {"location": "/g"})
        server.answers["/g"] = ranged(BODY, drop_after=50_000)
        get(server, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == BODY


def test_a_server_that_never_sends_a_byte_is_given_up(tmp_path: Path) -> None:
    with serving() as server:
        server.answers["/f"] = ranged(BODY, drop_after=0)
        with pytest.raises(SourceFailed, match=f"broke {FRUITLESS} times in a row"):
            get(server, tmp_path / "f")
        assert len(server.seen) == FRUITLESS


def test_a_range_that_nobody_asked_for_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(BODY[:50])
    with serving() as server:
        place = {"content-range": "bytes 40-99999/100000"}
        server.answers["/f"] = lambda handler: send(handler, 206, BODY[40:], place)
        with pytest.raises(SourceFailed, match="not asked for"):
            get(server, tmp_path / "f")


def test_a_refused_range_starts_over(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 50)
    with serving() as server:
        server.answers["/f"] = in_turn(refuse(416), ranged(BODY))
        get(server, tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == BODY


def test_a_closed_port_is_noticed_at_once(tmp_path: Path) -> None:
    with serving() as server:
        url = server.url
    with pytest.raises(SourceFailed, match=r"127\.0\.0\.1: no connection could be made"):
        download(Web(), f"{url}/f", tmp_path / "f", KNOWN, lambda *_: None)


def test_without_a_digest_two_versions_are_never_joined(tmp_path: Path) -> None:
    newer = BODY[::-1] + b"longer"
    with serving() as server:
        server.answers["/f"] = in_turn(ranged(BODY, 30_000, '"v1"'), ranged(newer, etag='"v2"'))
        get(server, tmp_path / "f", Expected())
        assert server.seen == [("/f", None), ("/f", "bytes=30000-")]
    assert (tmp_path / "f").read_bytes() == newer
    assert [each.name for each in tmp_path.iterdir()] == ["f"]


def test_without_a_digest_or_a_tag_a_break_starts_over(tmp_path: Path) -> None:
    with serving() as server:
        server.answers["/f"] = in_turn(ranged(BODY, 30_000, 'W/"weak"'), ranged(BODY))
        get(server, tmp_path / "f", Expected())
        assert server.seen == [("/f", None), ("/f", None)]
    assert (tmp_path / "f").read_bytes() == BODY


def test_a_file_larger_than_the_disk_is_refused_before_it_comes(tmp_path: Path) -> None:
    with serving() as server:
        server.answers["/f"] = lambda handler: send(handler, 200, b"", {"content-length": str(1 << 60)}, 0)
        with pytest.raises(DiskFull, match="is full; 1152921504607 MB more are needed"):
            get(server, tmp_path / "f", Expected())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_disk_that_fills_up_is_said_to_be_full(tmp_path: Path) -> None:
    (tmp_path / "f").symlink_to("/dev/full")
    with serving() as server:
        server.answers["/f"] = whole(BODY)
        with pytest.raises(DiskFull, match="What came so far is kept"):
            get(server, tmp_path / "f")
