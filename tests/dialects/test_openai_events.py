from __future__ import annotations

from msgspec import Raw

from riverrun.dialects.openai_events import first_part, part, present, spoken


def test_unknown_fields_are_skipped_and_texts_stay_raw() -> None:
    data = b'{"choices":[{"index":0,"delta":{"content":"a","x":[1]},"token_ids":[5]}],"model":"m","sla":1}'
    choices = part(data).choices
    assert choices is not None
    assert choices[0].delta is not None
    assert bytes(choices[0].delta.content) == b'"a"'
    assert first_part(data).model == "m"


def test_presence() -> None:
    assert [present(Raw(raw)) for raw in (b"", b"null", b'""', b"0")] == [False, False, True, True]


def test_thoughts_within_parts_keep_their_order() -> None:
    raw = Raw(b'[{"type":"thinking","thinking":[{"text":"a"}]},{"text":"b"},{"type":"image"}]')
    assert [(thought, bytes(text)) for thought, text in spoken(raw)] == [(True, b'"a"'), (False, b'"b"')]
