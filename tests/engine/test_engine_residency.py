from __future__ import annotations

from riverrun.engine.residency import Residency


class Model:
    """A model that notes what it is told."""

    def __init__(self, name: str, log: list[str], idle: bool = False) -> None:
        self.name, self.log, self.idle = name, log, idle

    def enter(self) -> None:
        self.log.append(f"{self.name} in")

    def give_way(self) -> None:
        self.log.append(f"{self.name} out")


def models(names: str, log: list[str]) -> list[Model]:
    return [Model(name, log) for name in names]


def test_a_place_is_given_at_once_while_there_is_one() -> None:
    log: list[str] = []
    residency = Residency(2)
    for model in models("ab", log):
        residency.want(model)
        residency.want(model)
    assert log == ["a in", "b in"]


def test_who_comes_later_waits_until_somebody_left() -> None:
    log: list[str] = []
    residency = Residency(1)
    a, b, c = models("abc", log)
    for model in (a, b, c):
        residency.want(model)
    assert log == ["a in", "a out"]
    residency.left(a)
    assert log == ["a in", "a out", "b in", "b out"]
    residency.left(b)
    assert log[4:] == ["c in"]


def test_an_idle_model_gives_way_before_a_busy_one() -> None:
    log: list[str] = []
    residency = Residency(2)
    a, b, c = models("abc", log)
    for model in (a, b):
        residency.want(model)
    b.idle = True
    residency.want(c)
    assert log == ["a in", "b in", "b out"]


def test_a_model_that_gives_way_and_is_wanted_again_comes_back_in_turn() -> None:
    log: list[str] = []
    residency = Residency(1)
    a, b = models("ab", log)
    residency.want(a)
    residency.want(b)
    residency.want(a)
    residency.left(a)
    assert log == ["a in", "a out", "b in", "b out"]
    residency.left(b)
    assert log[4:] == ["a in"]


def test_who_is_forgotten_gets_no_place() -> None:
    log: list[str] = []
    residency = Residency(1)
    a, b, c = models("abc", log)
    for model in (a, b, c):
        residency.want(model)
    residency.forget(b)
    residency.left(a)
    assert log == ["a in", "a out", "c in"]


def test_a_model_that_failed_frees_its_place() -> None:
    log: list[str] = []
    residency = Residency(1)
    a, b = models("ab", log)
    residency.want(a)
    residency.left(a)
    residency.want(b)
    residency.left(b)
    residency.want(a)
    assert log == ["a in", "b in", "a in"]
