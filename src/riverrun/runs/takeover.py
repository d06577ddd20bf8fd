"""Going on with an answer whose owner has died: what is on its tape becomes a run again.

What the dead owner knew and did not write is gone. The tape has the request, the drawn seed, every event, and who
began to answer; that is enough to begin again, to go on, or to say that nobody can.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from riverrun.failures import Cause, Failure
from riverrun.routing.target import Target
from riverrun.stream.assembler import Assembler, Plan
from riverrun.stream.flow import Ending, Finished, Refused
from riverrun.stream.restore import is_ending, restored
from riverrun.tapes.contract import Committed, Head, OwnTape
from riverrun.wire.chunk import DONE, Identity, decode
from riverrun.wire.limits import Limits
from riverrun.wire.request import Chat, parse_chat

ACCEPTED = Limits(body=2**31, n=128, strict=False)
"""The request was judged when it came."""

CAUSES = {(cause.value.type, cause.value.code): cause for cause in Cause}


class Broken(msgspec.Struct, frozen=True):
    """Why another owner's run ended, and who was answering; None: nothing had been said yet."""

    failure: Failure
    facts: Committed | None


def died() -> Failure:
    """What readers hear where nobody can go on."""
    return Failure(
        Cause.UPSTREAM_INTERRUPTED, "The server that was answering died, and nobody could go on with its answer."
    )


def request(head: Head) -> Chat:
    """The request of a tape, with the seed that was drawn for it. Raises Failure."""
    chat = parse_chat(bytes(head.request), ACCEPTED)
    if head.seed is None or chat.request.seed is not None:
        return chat
    seeded = msgspec.structs.replace(chat.request, seed=head.seed)
    return msgspec.structs.replace(chat, request=seeded, body={**chat.body, "seed": head.seed})


def ending(payloads: list[bytes]) -> Ending | None:
    """How a stream ended whose owner died before it could write so."""
    if not payloads or not is_ending(payloads[-1]):
        return None
    return Finished() if payloads[-1] == DONE else Refused(_told(payloads[-1]))


def assembler(tape: OwnTape, payloads: list[bytes], model: str, plan: Plan) -> Assembler:
    """The assembler that goes on after these. Raises ValueError where the tape holds no stream of its request."""
    return restored(payloads, Identity(tape.head.id, tape.head.created, model), plan)


def began(tape: OwnTape, payloads: list[bytes], targets: Sequence[Target]) -> Committed:
    """Who began to answer. The owner may have died between the first words and saying whose they are: then it is
    the target whose model the words name. Raises ValueError where there is none."""
    if tape.facts is not None:
        return tape.facts
    first = decode(payloads[0])
    for target in targets:
        if (target.model, target.fingerprint) == (first.model, first.system_fingerprint):
            return Committed(target.name)
    raise ValueError("nobody knows who began it")


class _Error(msgspec.Struct):
    message: str
    type: str
    param: str | None = None
    code: str | None = None


class _Frame(msgspec.Struct):
    error: _Error


def _told(payload: bytes) -> Failure:
    """The failure that an error frame tells."""
    try:
        error = msgspec.json.decode(payload, type=_Frame).error
    except msgspec.DecodeError:
        return died()
    cause = CAUSES.get((error.type, error.code), Cause.UPSTREAM_INTERRUPTED)
    return Failure(cause, error.message, param=error.param, code=error.code, type=error.type)
