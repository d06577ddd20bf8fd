"""Records: what was written is what is read, however it is cut up, and an ending keeps its failure whole."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from riverrun.failures import Attempt, Cause, Failure
from riverrun.stream.flow import Cancelled, Finished, Refused
from riverrun.tapes.contract import Committed
from riverrun.tapes.records import Begin, Block, Reading, Record, encoded, encoded_block, told
from riverrun.wire.chunk import CompletionUsage
from tests.tapes.reader import head

RECORDS: list[Record] = [
    Begin(head(key="k", seed=7, store=True), 3, "/x.sock"),
    Block(b"id: 1\ndata: {}\n\n", 1),
    Committed("tiny", ("user",)),
    Block(b"", 2),
    told(Finished(), CompletionUsage(1, 2, 3), 7.5),
    told(Cancelled(), None, 8.0),
]


@given(st.lists(st.sampled_from(RECORDS)), st.lists(st.integers(1, 60)))
def test_records_in_any_pieces(records: list[Record], sizes: list[int]) -> None:
    content = b"".join(map(encoded, records))
    reading, rest = Reading(), content
    read: list[Record] = []
    for size in [*sizes, len(content)]:
        read += reading.feed(rest[:size])
        rest = rest[size:]
    assert read == records
    assert reading.good == len(content)


def test_a_block_in_pieces_is_the_same_record() -> None:
    assert b"".join(encoded_block(b"id: 9\ndata: x\n\n", 9)) == encoded(Block(b"id: 9\ndata: x\n\n", 9))


def test_a_failure_is_told_whole() -> None:
    failure = Failure(
        Cause.UPSTREAM_BUSY, "full", param="p", code="c", type="t", status=418, retry=False, retry_after=2.5,
        attempts=(Attempt("a", "upstream_busy"),),
    )  # fmt: skip
    (read,) = Reading().feed(encoded(told(Refused(failure), None, 1.0)))
    ending = read.ending  # type: ignore[union-attr]  # it is an Ended
    assert isinstance(ending, Refused)
    again = ending.failure
    assert again.cause is Cause.UPSTREAM_BUSY
    for field in ("message", "param", "code", "type", "status", "retry_after", "attempts", "retry"):
        assert getattr(again, field) == getattr(failure, field)
