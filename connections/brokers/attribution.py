"""Whose fault a failed call is: ours, the broker's, or that of one login. Pure.

An answer says most of it, and each broker's `judge` reads that. What it cannot say follows from what happened to
others at the same time: an access that is refused is that login's trouble while other logins are let in, and the
broker's when one login after the other is refused; a broker that cannot be reached is to blame unless no other can be
reached either, or the error is one of our own network.
"""

import errno
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import requests

from connections.brokers.calls import Attribution, Outcome

MANY_LOGINS = 3  # refused one after the other, with none let in between
MANY_BROKERS = 2  # out of reach beside this one
OUR_ERRORS = {errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EMFILE, errno.ENFILE}
OUR_MISTAKES = (
    requests.exceptions.InvalidHeader,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.ProxyError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of one finished call."""

    outcome: Outcome
    said: Attribution  # by the answer itself, as the broker's `judge` reads it; BROKER without an answer
    status: int | None = None
    is_our_network: bool = False
    logins_refused: int = 0  # different ones in a row, this one included
    brokers_away: int = 0  # others that cannot be reached now


def attribute(evidence: Evidence) -> Attribution:
    """Who has to mend it; NONE when nothing is wrong."""
    match evidence.outcome:
        case Outcome.OK:
            return Attribution.NONE
        case Outcome.NETWORK | Outcome.TIMEOUT:
            ours = evidence.is_our_network or evidence.brokers_away >= MANY_BROKERS
            return Attribution.OURS if ours else Attribution.BROKER
        case Outcome.UNAUTHORIZED if evidence.said is Attribution.CREDENTIAL:
            everybody = evidence.logins_refused >= MANY_LOGINS
            return Attribution.BROKER if everybody else Attribution.CREDENTIAL
        case Outcome.CLIENT_ERROR if evidence.status == 410 and evidence.said is Attribution.OURS:
            return Attribution.BROKER  # an address the broker has taken away
        case _:
            return evidence.said


def is_our_network(error: BaseException | None) -> bool:
    """Whether no way led out of our machine, or what we wanted to send cannot be sent."""
    for each in _causes(error):
        if isinstance(each, OUR_MISTAKES):
            return True
        if isinstance(each, socket.gaierror) and each.errno == socket.EAI_AGAIN:
            return True  # no name server answers; a name that does not exist is the broker's affair
        if isinstance(each, OSError) and each.errno in OUR_ERRORS:
            return True
    return False


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and all it came from: requests and urllib3 wrap what the socket says, in arguments or as `reason`."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if not isinstance(each, BaseException) or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [each.__cause__, each.__context__, getattr(each, "reason", None), *each.args]
