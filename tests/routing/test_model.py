"""The order in which a model's targets are tried."""

from collections import Counter
from random import Random

from riverrun.routing.model import Model, Weighted, single
from riverrun.routing.target import Target

A, B, C = (Target(name, f"org/{name.upper()}", "", "openai") for name in "abc")


def test_tiers_keep_their_order() -> None:
    model = Model("m", ((Weighted(A),), (Weighted(B),), (Weighted(C),)))
    assert model.order(Random(1)) == [A, B, C]


def test_neighbours_are_drawn_by_weight_and_all_are_tried() -> None:
    model = Model("m", ((Weighted(A, 3.0), Weighted(B, 1.0)), (Weighted(C),)))
    random = Random(1)
    orders = [model.order(random) for _ in range(4000)]
    assert all(sorted(target.name for target in order[:2]) == ["a", "b"] and order[2] == C for order in orders)
    firsts = Counter(order[0].name for order in orders)
    assert 2800 < firsts["a"] < 3200


def test_a_single_target_is_a_model() -> None:
    assert single(A).order(Random(1)) == [A]
    assert single(A).name == "a"


def test_labels_tell_which_targets_serve_the_same_model() -> None:
    assert Target("x", "meta/Llama-3", "", "openai").label == Target("y", "other/llama-3", "", "openai").label
    assert Target("x", "a", "", "openai", same="s").label == Target("y", "b", "", "openai", same="s").label
    assert A.label != B.label
