"""A run in words and numbers for people: what it is doing, how far it is, what came of it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from connections.models import Account
from sync.holds import NO_ROOM, PART_NAMES, PartState
from sync.models import RunState, SyncRun
from sync.scheduling import is_late
from sync.scope import days_in_words

PART_WORDS = {
    PartState.DONE: ("good", "Done"),
    PartState.FAILED: ("bad", "Failed"),
    PartState.WAITING: ("wait", "Waiting"),
}
AGAIN = "You need not do anything: the next sync tries again, and nothing of it is lost."
WHAT_TO_DO = {  # by error code; what is not here says it in its own words
    "needs_reauth": "Sign in again. What is missing is fetched then.",
    "parts_failing": "What worked is up to date; the rest is as it was. The next sync tries it again by itself.",
    "unexpected_reply": "The hub has to learn this form; what it could not read stays as it was, and is tried again.",
    "broker_unavailable": AGAIN,
    "broker_rate_limited": AGAIN,
    "broker_maintenance": AGAIN,
    "broker_refused": "See whether the broker wants you to accept something on its own pages, then sync again.",
    "keys_refused": "Check the developer keys of this connection, then sync again.",
    "app_credentials_refused": "Check the developer keys of this connection, then sync again.",
    "file_not_read": "Export the file again as your broker offers it, or name its columns yourself.",
    "file_unreadable": "Export the file again as your broker offers it, and do not save it in a spreadsheet first.",
    "internal_error": "Nothing was half done. Try it again.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PartResult:
    part: str  # accounts, holdings, transactions, file
    account_id: int | None
    state: str
    detail: str
    at: datetime | None

    @property
    def name(self) -> str:
        return PART_NAMES.get(self.part, self.part)

    @property
    def tone(self) -> str:
        return PART_WORDS[self.state][0]

    @property
    def word(self) -> str:
        return PART_WORDS[self.state][1]


def parts_of(run: SyncRun) -> Iterator[PartResult]:
    """What became of each part; one that still waited when the run ended is not waiting any more."""
    for key, result in run.parts.items():
        part, _, account = key.partition(":")
        given_up = result["state"] == PartState.WAITING and not run.is_open
        yield PartResult(
            part=part,
            account_id=int(account) if account else None,
            state=PartState.FAILED if given_up else result["state"],
            detail=result["detail"],
            at=parse_datetime(result["at"]),
        )


@dataclass(frozen=True, slots=True)
class RunWords:
    """A run as templates show it."""

    run: SyncRun
    accounts: Mapping[int, Account]

    @property
    def doing(self) -> str:
        """What an open run is doing, in a few words."""
        if self.run.state == RunState.QUEUED:
            return f"Waiting for its turn: {self.late}" if self.late else "Waiting for its turn"
        return waiting_words(self.run) or self.run.step or "Starting"

    @property
    def late(self) -> str:
        """`was due 14:00, starts late`, on the clock of the person; "" when it is in time or was not scheduled."""
        run = self.run
        if run.due_at is None or not is_late(run):
            return ""
        return f"was due {_clock(run.due_at)}, {'started' if run.started_at else 'starts'} late"

    @property
    def wish(self) -> str:
        """What was asked for besides the mode: `Individual ...321, 2024-01-01 to today`."""
        account = self._name_of(self.run.account_id)
        return ", ".join(part for part in (account, days_in_words(self.run)) if part)

    @property
    def outcome(self) -> str:
        """What came of it: `12 new transactions, 1 corrected`."""
        run = self.run
        named = (
            (run.inserted, f"{_count(run.inserted, 'new transaction')}"),
            (run.superseded, f"{run.superseded:,} corrected"),
            (run.parked, f"{run.parked:,} parked"),
            (run.rejected, f"{run.rejected:,} rejected"),
        )
        said = ", ".join(words for number, words in named if number)
        return said or ("Nothing new" if run.state in (RunState.SUCCEEDED, RunState.CANCELLED) else "")

    @property
    def equation(self) -> str:
        """Where every row went; nothing vanishes."""
        run = self.run
        return (
            f"{_count(run.fetched, 'row')} read = {run.inserted:,} new + {run.matched:,} already known + "
            f"{run.superseded:,} corrected + {run.parked:,} parked + {run.rejected:,} rejected"
        )

    @property
    def what_to_do(self) -> str:
        """About the run's error; "" where the error says it itself, and without one."""
        return WHAT_TO_DO.get(self.run.error_code, "")

    @property
    def left(self) -> str:
        seconds = seconds_left(self.run)
        if seconds is None:
            return ""
        return f"About {seconds} s left." if seconds < 90 else f"About {round(seconds / 60)} min left."

    @property
    def duration(self) -> str:
        """From start to end, waits included; "" before the start."""
        if self.run.started_at is None:
            return ""
        return _words((self.run.finished_at or timezone.now()) - self.run.started_at)

    @property
    def parts(self) -> "list[tuple[PartResult, str]]":
        """Results with the account's name beside each; "" for what concerns the whole connection."""
        return [(part, self._name_of(part.account_id)) for part in parts_of(self.run)]

    def _name_of(self, account_id: int | None) -> str:
        if account_id is None:
            return ""
        account = self.accounts.get(account_id)
        return str(account) if account else f"Account {account_id}"


def waiting_words(run: SyncRun) -> str:
    """`Waiting for Charles Schwab until 14:05: rate limit`; "" when it does not wait."""
    if run.state != RunState.WAITING or run.wait_until is None:
        return ""
    whom = "room on the hub's disk" if run.wait_reason == NO_ROOM else run.connection.get_broker_display()
    return f"Waiting for {whom} until {_clock(run.wait_until)}: {run.wait_reason}"


def _clock(at: datetime) -> str:
    """The time of day where the person is, with the day when it is another one."""
    local = timezone.localtime(at)
    return f"{local:%H:%M}" if local.date() == timezone.localdate() else f"{local:%H:%M} on {local.day} {local:%B}"


def in_words(run: SyncRun, accounts: Iterable[Account] = ()) -> RunWords:
    return RunWords(run, {account.pk: account for account in accounts})


def seconds_left(run: SyncRun) -> int | None:
    """From the pace so far; None while it is not known, and in a run that had to start more than once."""
    if run.state != RunState.RUNNING or not run.done or not run.total or run.started_at is None or run.attempts > 1:
        return None
    pace = (timezone.now() - run.started_at) / run.done
    return max(1, round((pace * max(run.total - run.done, 0)).total_seconds()))


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _words(duration: timedelta) -> str:
    seconds = duration.total_seconds()
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
