"""The states of a connection, the one table of allowed transitions, and the words people see."""

from dataclasses import dataclass

from django.db.models import TextChoices


class Group(TextChoices):
    """What a state asks of the person: the headings of the page, in this order."""

    NEEDS_YOU = "needs_you", "Needs you"
    WAITING = "waiting", "Waiting"
    WORKING = "working", "Working"
    DISCONNECTED = "disconnected", "Disconnected"


class ConnectionState(TextChoices):
    PENDING_AUTH = "pending_auth", "Waiting for sign-in"
    CONNECTED = "connected", "Connected"
    EXPIRING = "expiring", "Sign-in ends soon"
    RATE_LIMITED = "rate_limited", "Waiting: rate limit"
    MAINTENANCE = "maintenance", "Waiting: maintenance"
    DEGRADED = "degraded", "Partly working"
    NEEDS_REAUTH = "needs_reauth", "Sign in again"
    DISCONNECTING = "disconnecting", "Disconnecting"
    DISCONNECTED = "disconnected", "Disconnected"
    ERROR = "error", "Not working"

    @property
    def may_sync(self) -> bool:
        """Whether calling the broker with this connection's credentials can succeed now."""
        return self in _USABLE

    @property
    def needs_user(self) -> bool:
        return self in {self.PENDING_AUTH, self.NEEDS_REAUTH, self.EXPIRING}

    @property
    def tone(self) -> str:
        """The colour family of its badge: good, warn, bad, wait or quiet."""
        return _TONES[self]

    @property
    def group(self) -> "Group":
        """Under which heading the person finds a connection in this state."""
        return _GROUPS[self]

    def may_become(self, target: "ConnectionState") -> bool:
        return target in TRANSITIONS[self]


S = ConnectionState
_USABLE = frozenset({S.CONNECTED, S.EXPIRING, S.RATE_LIMITED, S.MAINTENANCE, S.DEGRADED, S.ERROR})
_TONES = {
    S.PENDING_AUTH: "warn",
    S.CONNECTED: "good",
    S.EXPIRING: "warn",
    S.RATE_LIMITED: "wait",
    S.MAINTENANCE: "wait",
    S.DEGRADED: "warn",
    S.NEEDS_REAUTH: "bad",
    S.DISCONNECTING: "wait",
    S.DISCONNECTED: "quiet",
    S.ERROR: "bad",
}
_GROUPS = {
    S.PENDING_AUTH: Group.NEEDS_YOU,
    S.NEEDS_REAUTH: Group.NEEDS_YOU,
    S.EXPIRING: Group.NEEDS_YOU,
    S.RATE_LIMITED: Group.WAITING,
    S.MAINTENANCE: Group.WAITING,
    S.ERROR: Group.WAITING,  # the hub tries again by itself, or it is noted for us to mend
    S.DISCONNECTING: Group.WAITING,
    S.CONNECTED: Group.WORKING,
    S.DEGRADED: Group.WORKING,
    S.DISCONNECTED: Group.DISCONNECTED,
}
_WORKING = {S.CONNECTED, S.EXPIRING, S.RATE_LIMITED, S.MAINTENANCE, S.DEGRADED, S.NEEDS_REAUTH, S.ERROR}

# A state may always be confirmed (become itself again, with a new reason or deadline).
TRANSITIONS: dict[ConnectionState, frozenset[ConnectionState]] = {
    S.PENDING_AUTH: frozenset({S.PENDING_AUTH, S.CONNECTED, S.DISCONNECTING, S.ERROR}),
    **{state: frozenset(_WORKING | {S.DISCONNECTING}) for state in _WORKING - {S.NEEDS_REAUTH}},
    S.NEEDS_REAUTH: frozenset({S.NEEDS_REAUTH, S.CONNECTED, S.DISCONNECTING}),
    S.DISCONNECTING: frozenset({S.DISCONNECTING, S.DISCONNECTED}),
    S.DISCONNECTED: frozenset({S.DISCONNECTED, S.CONNECTED, S.PENDING_AUTH}),
}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a connection is in its state, in words, and what the person can do about it. Empty action = nothing to do."""

    text: str
    action: str = ""


REASONS: dict[str, Reason] = {
    "": Reason(""),
    "not_signed_in": Reason("You have not signed in at {broker} yet.", "Continue to {broker}"),
    "consent_denied": Reason("Access was declined on {broker}'s page.", "Try again"),
    "authorization_expiring": Reason("{broker} asks for a new sign-in from time to time.", "Renew now"),
    "authorization_expired": Reason("Your sign-in at {broker} has run out.", "Sign in again"),
    "refresh_refused": Reason("{broker} no longer accepts this connection's sign-in.", "Sign in again"),
    "access_refused": Reason("{broker} refused access even after a renewed sign-in.", "Sign in again"),
    "keys_refused": Reason("{broker} no longer accepts the keys of this connection.", "Enter new keys"),
    "renewal_interrupted": Reason(
        "The hub was interrupted while it renewed this sign-in, and {broker} no longer accepts the old one.",
        "Sign in again",
    ),
    "by_admin": Reason("An administrator asks you to sign in at {broker} once more.", "Sign in again"),
    "credentials_unreadable": Reason("The stored sign-in can no longer be read.", "Sign in again"),
    "app_credentials_refused": Reason("{broker} refused the hub's own app key. An administrator has to mend it."),
    "switched_off": Reason("This way to {broker} is switched off on this hub, so nothing is updated any more."),
    "rate_limit": Reason("{broker} allows only so many requests, so the hub waits."),
    "maintenance": Reason("{broker} is under maintenance, so the hub waits."),
    "broker_unavailable": Reason("{broker} is not answering right now. The hub tries again by itself."),
    "renewal_delayed": Reason("{broker}'s sign-in service is not answering right now. The hub tries again by itself."),
    "sign_ins_refused": Reason(
        "{broker} refuses more than one sign-in at the moment. Yours is kept, and the hub tries again by itself."
    ),
    "unexpected_reply": Reason("{broker} answered in a form the hub does not know. It has been noted for us to mend."),
    "refused": Reason("{broker} refused what the hub asked for. It has been noted for us to mend."),
    "parts_failing": Reason("Some of the data could not be fetched; the rest is up to date."),
    "restored": Reason("It came with an export, which holds no sign-in. Sign in at {broker} again.", "Sign in again"),
    "by_user": Reason("You disconnected it. Its history is kept, read-only.", "Connect again"),
}


def reason_for(code: str, *, broker: str) -> Reason:
    """The words for a reason code; an unknown code is a bug and raises KeyError."""
    reason = REASONS[code]
    return Reason(reason.text.format(broker=broker), reason.action.format(broker=broker))
