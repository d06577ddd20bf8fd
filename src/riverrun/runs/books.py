"""Who used how much: a run's upstream calls as rows of the ledger, and as numbers of the metrics."""

from __future__ import annotations

from collections.abc import Callable, Container

import msgspec

from riverrun.runs.metrics import Metrics
from riverrun.store.contract import Attempted, Ledger, Reserved, Settled
from riverrun.stream.ask import Ask
from riverrun.stream.flow import Cancelled, Ending, Finished, Refused
from riverrun.stream.tally import Tally, Used, prompt_tokens

FIRST_OF_OWNER = 1000
"""Numbers of attempts that each owner of a tape has for itself: a later one does not know all of an earlier one's."""


NAMES: dict[type[Ending], str] = {Finished: "finished", Cancelled: "cancelled"}


def named(ending: Ending) -> str:
    """An ending as the ledger and the log have it."""
    return ending.failure.cause.name.lower() if type(ending) is Refused else NAMES[type(ending)]


class Books:
    """One process's books. `now` gives Unix seconds."""

    def __init__(self, ledger: Ledger, metrics: Metrics, now: Callable[[], float]) -> None:
        self.metrics = metrics
        self._ledger = ledger
        self._now = now

    def begun(self, ask: Ask, tenant: str, client_request_id: str | None) -> Account:
        """A new run. It may only ask upstreams after this."""
        self._ledger.reserve(Reserved(ask.id, tenant, ask.chat.model, self._now()))
        self.metrics.run_began()
        return Account(self._ledger, self.metrics, self._now, ask, 0, client_request_id)

    def taken_over(self, ask: Ask, epoch: int, said: int, repeating: Container[str]) -> Account:
        """A run of another owner, whose attempts end here. Its answer has `said` deltas so far; nobody counted them.

        The last attempt said what no settled one did; all of it, if it was at a target that is `repeating` an answer
        to go on with it.
        """
        self.metrics.run_began()
        account = Account(self._ledger, self.metrics, self._now, ask, (epoch - 1) * FIRST_OF_OWNER, None)
        left = self._ledger.open_attempts(ask.id)
        for attempt in left:
            new = said if attempt.target in repeating else said - self._ledger.completed(ask.id)
            used = Used(source="estimated")
            if attempt is left[-1] and new > 0:
                used = Used(account.prompt_estimate(), new, source="estimated")
            account.settle(attempt.number, "owner_died", used)
        return account


class Account(msgspec.Struct, eq=False):
    """One run's."""

    _ledger: Ledger
    _metrics: Metrics
    _now: Callable[[], float]
    _ask: Ask
    _number: int
    _client_request_id: str | None

    def asked(self, target: str) -> int:
        """An upstream call goes out; returns its number."""
        self._number += 1
        self._ledger.attempt(Attempted(self._ask.id, self._number, target, self._now()))
        return self._number

    def answered(self, number: int, target: str, ending: Ending, tally: Tally) -> None:
        """It is over: exactly once for each."""
        failed = ending.failure.cause if type(ending) is Refused else None
        self._metrics.attempt_ended(target, failed)
        letters = self._prompt_letters() if tally.usage is None and tally.said else 0
        self.settle(number, named(ending), tally.used(letters))

    def prompt_estimate(self) -> int:
        """Tokens of the request's messages, by their length."""
        return prompt_tokens(self._prompt_letters())

    def settle(self, number: int, ending: str, used: Used) -> None:
        self._metrics.settled(self._ask.chat.model, used.source, used.prompt_tokens, used.completion_tokens)
        self._ledger.settle(
            Settled(
                self._ask.id,
                number,
                ending,
                used.prompt_tokens,
                used.completion_tokens,
                used.cached_tokens,
                used.reasoning_tokens,
                used.source,
                self._now(),
                self._client_request_id,
            )
        )

    def _prompt_letters(self) -> int:
        return len(msgspec.json.encode(self._ask.chat.body.get("messages")))

    def over(self, ending: Ending, seconds: float, first_content: float | None) -> None:
        """The run has ended."""
        self._metrics.run_ended(self._ask.chat.model, named(ending), seconds, first_content)
