"""Is it me? What a person's own connection and the broker's health say together about where the trouble is. Pure."""

from dataclasses import dataclass

from connections.brokers.calls import Attribution
from connections.models import Connection
from connections.states import ConnectionState
from health.verdicts import Status

S = ConnectionState
OUR_REASONS = {"app_credentials_refused", "unexpected_reply", "refused", "rate_limit"}
WAITING = {S.PENDING_AUTH: "This connection is waiting for you to finish signing in.",
           S.DISCONNECTING: "This connection is being removed.",
           S.DISCONNECTED: "This connection was removed; its history stays."}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Where the trouble of one connection is; `side` NONE when there is none."""

    connection: Connection
    side: Attribution
    tone: str
    title: str
    text: str
    needs_person: bool = False


def is_it_me(connection: Connection, status: Status) -> Answer:
    """In the words of the page. `status` is how the broker is doing for everybody."""
    broker, state = connection.get_broker_display(), connection.status
    if state is S.NEEDS_REAUTH:
        rest = "Others reach the broker at the same time." if status is Status.OPERATIONAL else ""
        return Answer(
            connection=connection,
            side=Attribution.CREDENTIAL,
            tone="bad",
            title="It is your sign-in",
            text=f"{connection.reason.text} {rest} Sign in again, and the next sync goes on where the last one ended.",
            needs_person=True,
        )
    if state is S.MAINTENANCE or status is Status.MAINTENANCE:
        text = f"{broker} is under planned maintenance. Your sign-in is fine; syncs go on by themselves afterwards."
        return Answer(connection=connection, side=Attribution.BROKER, tone="wait", title="It is maintenance", text=text)
    if state in WAITING:
        text = WAITING[state]
        return Answer(connection=connection, side=Attribution.NONE, tone="quiet", title=state.label, text=text)
    if connection.reason_code in OUR_REASONS and not status.is_trouble:
        return Answer(
            connection=connection,
            side=Attribution.OURS,
            tone="warn",
            title="It is on our side",
            text=f"{connection.reason.text} {broker} works, and so does your sign-in. There is nothing for you to do.",
        )
    if status.is_trouble or state in (S.ERROR, S.DEGRADED, S.RATE_LIMITED):
        text = f"{broker} has trouble at the moment. Your sign-in is fine; the hub keeps trying by itself."
        if not status.is_trouble:
            text = f"{connection.reason.text} Your sign-in is fine; the hub tries again by itself."
        return Answer(
            connection=connection, side=Attribution.BROKER, tone="warn", title=f"It is on {broker}'s side", text=text
        )
    text = f"{broker} answers and your sign-in works."
    return Answer(connection=connection, side=Attribution.NONE, tone="good", title="All is well", text=text)
