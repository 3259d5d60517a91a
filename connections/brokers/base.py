"""What every broker's connector looks like from outside, and the errors it may raise."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, Protocol, runtime_checkable
from uuid import UUID

from brokerhub.kernel.errors import HubError
from connections.brokers.records import (
    AccountRecord,
    AssetClass,
    Broker,
    Holdings,
    Identity,
    PriceRecord,
    TransactionPage,
    ValueRecord,
)
from connections.brokers.turns import Line


class BrokerError(HubError):
    """A broker did not give us what we asked for. The text is for people and holds no secret."""

    status = 502
    code = "broker_error"


class NeedsReauth(BrokerError):
    """Only the user can mend it, by signing in again; never retried. `reason_code` is a key of `states.REASONS`."""

    status = 409
    code = "needs_reauth"

    def __init__(self, message: str, *, reason_code: str = "refresh_refused") -> None:
        super().__init__(message)
        self.reason_code = reason_code


class AppCredentialsRefused(BrokerError):
    """The hub's own app key or secret is wrong at the broker: an administrator has to mend it."""

    status = 502
    code = "app_credentials_refused"


class BrokerUnavailable(BrokerError):
    """Time may mend it; retried. `retry_at` is when it is worth trying again, None if the broker did not say."""

    status = 503
    code = "broker_unavailable"

    def __init__(self, message: str, *, retry_at: datetime | None = None) -> None:
        super().__init__(message)
        self.retry_at = retry_at


class Unreachable(BrokerUnavailable):
    """No answer came in time, or no way through."""


class UnderMaintenance(BrokerUnavailable):
    """The broker says itself that it is under maintenance, until `retry_at` if it names an end."""

    code = "broker_maintenance"


class RateLimited(BrokerUnavailable):
    """The broker's or our own budget is used up until `retry_at`.

    `line` is where a sync waits for its turn at our own; `is_turn_over` when it had one, and others are next.
    """

    code = "broker_rate_limited"

    def __init__(
        self,
        message: str,
        *,
        retry_at: datetime | None = None,
        line: Line | None = None,
        is_turn_over: bool = False,
    ) -> None:
        super().__init__(message, retry_at=retry_at)
        self.line, self.is_turn_over = line, is_turn_over


class CircuitOpen(BrokerUnavailable):
    """It has failed several times in a row, so the hub lets it be until `retry_at`."""


class SignInsRefused(BrokerUnavailable):
    """It refuses this sign-in, but others' as well, or may do so: it is waited for, and nobody has to sign in again."""


class UnexpectedReply(BrokerError):
    """The broker answered in a form we do not know; only we can mend it; shown in health."""

    code = "unexpected_reply"


class Refused(BrokerError):
    """The broker refused this one request (4xx other than 401 and 429); asking again will not help."""

    code = "broker_refused"


class KeysRefused(BrokerError):
    """A key the person typed cannot be right; `field` names it, "" when only the broker knows which."""

    status = 400
    code = "keys_refused"

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyField:
    """One key that a person fetches at the broker and types in here."""

    name: str
    label: str
    help: str
    is_secret: bool = True
    is_long: bool = False  # a key file's text, over several lines


@dataclass(frozen=True, slots=True, kw_only=True)
class AppKeys:
    """The hub's registration as an app at one broker. A grant is bound to the app it was given to. Never printed."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    id: UUID | None = None  # of the stored AppCredentials; None: out of the environment, or the broker needs none

    def __getitem__(self, name: str) -> str:
        return self.values[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a finished sign-in or renewal gives: the secrets to keep, and when they end. Never printed."""

    secrets: dict[str, Any]
    access_expires_at: datetime
    authorization_expires_at: datetime | None

    def __repr__(self) -> str:
        return f"Grant(access until {self.access_expires_at}, authorization until {self.authorization_expires_at})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A sign-in that has begun: where the person goes, and what has to be remembered until they are back."""

    url: str
    key: str  # comes back with the person and names this sign-in: OAuth 2's state, OAuth 1.0a's request token
    kept: dict[str, str]  # secrets for the way back: the PKCE verifier, the request token's secret

    def __repr__(self) -> str:
        return "Begun()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the hub has made and the person copies to the broker's page: a public key, never a secret."""

    label: str
    value: str
    help: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A dialogue goes on: something to ask the person, or nothing but to wait and look again."""

    text: str
    kept: dict[str, str] = field(repr=False)  # secrets for the next step; they are sealed into the page, never stored
    fields: tuple[KeyField, ...] = ()
    poll_seconds: int | None = None  # without fields: how often to look


class SignIn(Protocol):
    """One way of getting and renewing access at one broker. Holds the app's own credentials, no user's."""

    @property
    def redirect_uri(self) -> str: ...

    def begin(self, *, state: str) -> Begun:
        """`state` is fresh and unguessable; a method that has no use for it may name the sign-in otherwise."""
        ...

    def complete(self, *, answer: Mapping[str, str], kept: Mapping[str, str], at: datetime) -> Grant:
        """The grant for what the person came back with at `at`. Raises BrokerError."""
        ...

    def refresh(self, grant: Grant) -> Grant:
        """A grant that works again. Raises NeedsReauth when only a new sign-in can give one."""
        ...


@runtime_checkable
class Revokes(Protocol):
    """A way of signing in whose broker takes a grant back."""

    def revoke(self, grant: Grant) -> None:
        """End the grant at the broker; one that has ended before is no error. Raises BrokerError."""
        ...


@runtime_checkable
class PreparesKeys(Protocol):
    """A way of signing in where the hub makes a key pair first, whose public half the person brings to the broker."""

    def prepare(self) -> dict[str, str]:
        """Fresh secrets, kept sealed until the person is back with what the broker gave for them."""
        ...

    def shown(self, kept: Mapping[str, str]) -> tuple[Shown, ...]: ...


@runtime_checkable
class Dialogue(Protocol):
    """A way of signing in that asks one thing after the other. Each call is one action of the person, never retried."""

    def open(self, answer: Mapping[str, str], former: Mapping[str, Any]) -> "Grant | Question":
        """`former` are the secrets of the sign-in before, by which a broker may know the hub again."""
        ...

    def reply(self, kept: Mapping[str, str], answer: Mapping[str, str]) -> "Grant | Question": ...


class Grants(Protocol):
    """Where a session gets its grant from, and another one when the broker refused it."""

    def current(self) -> Grant: ...

    def renew(self, *, refused: Grant) -> Grant: ...


class Connector(Protocol):
    """One broker's data for one connection. Every method raises BrokerError, never returns a guess."""

    broker: ClassVar[Broker]
    look_back: ClassVar[timedelta]  # how far back rows may still change; each sync reads this window again
    history: ClassVar[timedelta]  # how far back the broker goes
    drops_rows: ClassVar[bool]  # whether a row that is not told again within `look_back` was taken back

    def identity(self) -> Identity: ...

    def accounts(self) -> list[AccountRecord]: ...

    def holdings(self, account_id: str) -> Holdings: ...

    def transactions(self, account_id: str, *, since: date, until: date) -> Iterator[TransactionPage]:
        """Pages covering `since`..`until` (market dates, both included), oldest window first."""
        ...


@runtime_checkable
class TellsPrices(Protocol):
    """A connector whose broker tells what things cost on days gone by."""

    priced: ClassVar[frozenset[AssetClass]]  # of these, and in dollars
    prices_reach: ClassVar[timedelta]  # how far back it tells them

    def prices(self, symbol: str, *, since: date, until: date) -> list[PriceRecord]:
        """Closes of the days `since`..`until`, both included, oldest first; none for what the broker has no prices of.

        `symbol` is in our spelling. Raises BrokerError.
        """
        ...


@runtime_checkable
class TellsValues(Protocol):
    """A connector whose broker tells what whole accounts were worth on days gone by."""

    def values(self, account_ids: Sequence[str], *, since: date) -> dict[str, tuple[ValueRecord, ...]]:
        """By account, each day's value, oldest first, from `since` on or from where the broker begins; one question.

        The last day may not be over yet. Raises BrokerError.
        """
        ...


@runtime_checkable
class Closes(Protocol):
    """A connector whose broker holds something open for it as long as it is used."""

    def close(self) -> None:
        """Let go of it. Raises nothing: what was read is good, whatever becomes of this."""
        ...


@contextmanager
def closing(connector: Connector) -> Iterator[Connector]:
    """The connector for as long as it is used, closed at the end where its broker wants that."""
    try:
        yield connector
    finally:
        if isinstance(connector, Closes):
            connector.close()
