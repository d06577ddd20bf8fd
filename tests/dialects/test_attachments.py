from __future__ import annotations

import pytest

from riverrun.dialects.attachments import Data, attached, pictured, plain
from riverrun.failures import Failure
from riverrun.wire.messages import File


def test_a_data_url_and_an_address() -> None:
    assert pictured("data:IMAGE/PNG;base64,AA==", "x") == Data("image/png", "AA==")
    assert pictured("data:image/png;name=a;base64,AA==", "x") == Data("image/png", "AA==")
    assert pictured("https://x.test/data:1", "x") == "https://x.test/data:1"


@pytest.mark.parametrize("url", ["data:image/png,AA", "data:;base64,AA", "data:image/png;base64"])
def test_a_data_url_without_a_type_or_base64(url: str) -> None:
    with pytest.raises(Failure) as caught:
        pictured(url, "messages[0].content[0]")
    assert caught.value.param == "messages[0].content[0]"


def test_a_file_by_its_data_its_name_or_its_id() -> None:
    assert attached(File(file_data="data:application/pdf;base64,AA=="), "x") == Data("application/pdf", "AA==")
    assert attached(File(filename="Report.PDF", file_data="AA=="), "x") == Data("application/pdf", "AA==")
    assert attached(File(file_id="file_1"), "x") == "file_1"


@pytest.mark.parametrize("file", [File(), File(filename="a.pdf"), File(file_data="AA=="), File("x.unknown", "AA==")])
def test_a_file_of_which_nothing_is_known(file: File) -> None:
    with pytest.raises(Failure):
        attached(file, "x")


def test_plain_text() -> None:
    assert plain(Data("text/plain", "xYLDs2TFug=="), "x") == "łódź"
    for broken in ("/w==", "A", "ł"):
        with pytest.raises(Failure):
            plain(Data("text/plain", broken), "x")
