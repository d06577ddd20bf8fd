"""What a request says outweighs what the server does by habit."""

import pytest

from riverrun.runs.intent import Habits, Intent
from riverrun.tapes.contract import Policy

POLICIES: list[Policy] = ["cancel", "grace", "finish"]


@pytest.mark.parametrize("own", POLICIES)
@pytest.mark.parametrize("servers", POLICIES)
def test_the_header_beats_the_server(own: Policy, servers: Policy) -> None:
    assert Habits(servers).policy(Intent(key="k", policy=own), store=True) == own


@pytest.mark.parametrize(
    ("habits", "intent", "store", "policy"),
    [
        (Habits(), Intent(), False, "cancel"),
        (Habits(), Intent(key="k"), False, "grace"),
        (Habits(), Intent(), True, "grace"),
        (Habits(join_retries=True), Intent(), False, "grace"),
        (Habits("finish", join_retries=True), Intent(key="k"), True, "finish"),
        (Habits("grace"), Intent(), False, "grace"),
    ],
)
def test_who_means_to_come_back(habits: Habits, intent: Intent, store: bool, policy: Policy) -> None:
    assert habits.policy(intent, store=store) == policy
