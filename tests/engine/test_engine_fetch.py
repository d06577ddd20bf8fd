from __future__ import annotations

import hashlib
import multiprocessing
from pathlib import Path

import pytest

from riverrun.engine import catalogue
from riverrun.engine.catalogue import Row, Source
from riverrun.engine.errors import ModelError, NotGguf, PullFailed
from riverrun.engine.fetch import pull
from riverrun.engine.folder import LocalModel, installed

from .fileserver import in_turn, ranged, refuse, send, serving, whole
from .ggufs import MODEL, gguf

FILE = gguf(MODEL)
SHA256 = hashlib.sha256(FILE).hexdigest()


def row(*sources: Source) -> Row:
    return Row("tiny", ("t",), "", "MIT", "1", "Tiny.gguf", len(FILE), SHA256, 8192, {}, sources)


def get(what: str, folder: Path) -> LocalModel:
    return pull(what, folder, lambda *_: None)


def use(monkeypatch: pytest.MonkeyPatch, *sources: Source) -> None:
    """The catalogue has one small model."""
    monkeypatch.setattr(catalogue, "rows", lambda: (row(*sources),))


def test_sources_are_tried_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as server:
        server.answers["/b"] = whole(FILE[::-1])
        server.answers["/c"] = ranged(FILE)
        use(monkeypatch, *(Source(hf=f"{server.url}/{name}") for name in "abcd"))
        model = get("T", tmp_path / "models")
        assert [path for path, _ in server.seen] == ["/a", "/b", "/c"]
    assert (model.name, model.path) == ("tiny", tmp_path / "models" / "Tiny.gguf")
    assert model.path.read_bytes() == FILE
    assert installed(tmp_path / "models") == [model]


def test_a_model_that_is_there_is_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as server:
        server.answers["/a"] = ranged(FILE)
        use(monkeypatch, Source(hf=f"{server.url}/a"))
        assert get("tiny", tmp_path) == get("tiny", tmp_path)
        assert len(server.seen) == 1


def test_a_stranger_with_its_name_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Tiny.gguf").write_bytes(b"short")
    with serving() as server:
        server.answers["/a"] = ranged(FILE)
        use(monkeypatch, Source(hf=f"{server.url}/a"))
        assert get("tiny", tmp_path).path.read_bytes() == FILE


def test_a_file_copied_there_by_hand_is_taken_if_it_is_the_right_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, Source(path=str(tmp_path / "none")))
    (tmp_path / "Tiny.gguf").write_bytes(FILE)
    assert get("tiny", tmp_path).name == "tiny"
    (tmp_path / "Tiny.gguf").write_bytes(FILE[:-1] + b"!")
    with pytest.raises(PullFailed):
        get("tiny", tmp_path)


def test_when_all_fail_each_source_its_reason_and_the_way_out_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as server:
        server.answers["/a"] = refuse(403)
        use(monkeypatch, Source(hf=f"{server.url}/a"), Source(path=str(tmp_path / "none")))
        with pytest.raises(PullFailed) as failed:
            get("tiny", tmp_path / "models")
    lines = str(failed.value).splitlines()
    assert lines[0] == "Tiny.gguf could not be fetched."
    assert lines[1].endswith("/a: it answered 403")
    assert lines[2].endswith("none: there is no such file")
    assert "riverrun pull PATH" in lines[3]
    assert str(tmp_path / "models" / "Tiny.gguf") in lines[3]


def test_a_broken_download_leaves_its_part_and_the_next_pull_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Tiny.gguf.part").write_bytes(FILE[:1000])
    with serving() as server:
        server.answers["/a"] = in_turn(refuse(404), ranged(FILE))
        use(monkeypatch, Source(hf=f"{server.url}/a"))
        with pytest.raises(PullFailed):
            get("tiny", tmp_path)
        assert (tmp_path / "Tiny.gguf.part").stat().st_size == 1000
        get("tiny", tmp_path)
        assert server.seen[-1] == ("/a", "bytes=1000-")
    assert not (tmp_path / "Tiny.gguf.part").exists()


def test_any_url_of_a_gguf_works(tmp_path: Path) -> None:
    with serving() as server:
        server.answers["/x/My%20Own.gguf?download=true"] = ranged(FILE)
        model = get(f"{server.url}/x/My%20Own.gguf?download=true", tmp_path)
    assert (model.name, model.row) == ("My Own", None)
    assert model.path.read_bytes() == FILE


def test_a_digest_that_the_host_states_is_checked(tmp_path: Path) -> None:
    with serving() as server:
        stated = {"x-linked-etag": f'"{"0" * 64}"', "x-linked-size": str(len(FILE))}
        server.answers["/m.gguf"] = lambda handler: send(handler, 200, FILE, dict(stated))
        with pytest.raises(PullFailed, match="it sent other bytes"):
            get(f"{server.url}/m.gguf", tmp_path)
        stated["x-linked-etag"] = f'"{SHA256}"'
        assert get(f"{server.url}/m.gguf", tmp_path).size == len(FILE)


def test_a_page_instead_of_a_model_is_refused_and_not_kept(tmp_path: Path) -> None:
    with serving() as server:
        server.answers["/m.gguf"] = whole(b"<html>log in</html>")
        with pytest.raises(PullFailed, match="is not a GGUF file"):
            get(f"{server.url}/m.gguf", tmp_path)
    assert not list(tmp_path.glob("m.gguf*"))


@pytest.mark.parametrize("url", ["ftp://host/m.gguf", "https://host/m.bin", "https://host/", "https://host/.gguf"])
def test_other_addresses_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(PullFailed, match=r"is not the http\(s\) address of a \.gguf file"):
        get(url, tmp_path)


def test_a_file_is_copied_into_the_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(FILE)
    model = get(str(tmp_path / "mine"), tmp_path / "models")
    assert (model.name, model.row) == ("mine", None)
    assert model.path.read_bytes() == FILE


def test_a_file_that_the_catalogue_knows_gets_its_name_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Source(hf="http://127.0.0.1:9/none"))
    (tmp_path / "usb-stick.gguf").write_bytes(FILE)
    model = get(str(tmp_path / "usb-stick.gguf"), tmp_path / "models")
    assert (model.name, model.path.name) == ("tiny", "Tiny.gguf")


def test_a_file_that_is_no_model_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("hello")
    with pytest.raises(NotGguf, match="is not a GGUF file"):
        get(str(tmp_path / "x.txt"), tmp_path)
    with pytest.raises(PullFailed, match="There is no file"):
        get(str(tmp_path / "none.gguf"), tmp_path)


def test_an_unknown_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No model is called 'nosuch'"):
        get("nosuch", tmp_path)


def test_a_folder_that_can_not_be_made_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Source(hf="http://127.0.0.1:9/none"))
    (tmp_path / "file").write_text("")
    with pytest.raises(PullFailed, match=r"can't be made .* set RIVERRUN_MODELS"):
        get("tiny", tmp_path / "file" / "models")


def test_two_processes_take_turns_and_fetch_it_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with serving() as server:
        server.answers["/m.gguf"] = ranged(FILE)
        pulls = [context.Process(target=get, args=(f"{server.url}/m.gguf", tmp_path)) for _ in range(2)]
        for each in pulls:
            each.start()
        for each in pulls:
            each.join(30)
        assert [each.exitcode for each in pulls] == [0, 0]
        assert len(server.seen) == 2  # one HEAD and one GET
    assert (tmp_path / "m.gguf").read_bytes() == FILE
