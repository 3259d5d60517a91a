"""What happened in one account at Robinhood, list by list, by the API of its app.

Orders are asked for by the day they changed, dividends always whole (they come in no order), everything else newest
first to the page on which nothing is new. Every list fails for itself: the others are read and booked all the same.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import chain

from connections.brokers import robinhood_cash, robinhood_endings, robinhood_orders
from connections.brokers.base import Refused, UnexpectedReply
from connections.brokers.calls import Operation
from connections.brokers.records import ParkedRecord, TransactionPage
from connections.brokers.robinhood_app import API, BONFIRE, NUMMUS, AppSession, Gone
from connections.brokers.robinhood_cash import tail
from connections.brokers.robinhood_listing import Listing
from connections.brokers.robinhood_orders import NEW_YORK, Records
from connections.brokers.robinhood_rows import Row, understood

ALL_ACCOUNTS = {"default_to_all_accounts": "true"}  # without it retirement accounts are left out
CHANGED = ("updated_at", "created_at", "completed_at", "last_activity_at", "pay_date", "paid_at", "date")
ONE_DAY = timedelta(days=1)  # between the time zones in which rows are dated


def changed_on(row: Row) -> str:
    """The last day on which something is known to have happened to this row; "" when it tells none."""
    return max((str(row[name])[:10] for name in CHANGED if row.get(name)), default="")


def share_id(row: Row) -> str:
    return str(row.get("instrument_id") or tail(row["instrument"]))


@dataclass(slots=True, kw_only=True)
class History:
    app: AppSession
    listing: Listing
    account: str
    own: frozenset[str]  # numbers and ids of the account, at all hosts
    others: frozenset[str]  # those of the person's other accounts
    has_coins: bool  # whether the person has a place for coins at all
    takes_strays: bool  # whether rows that name no account are shown with this one
    since: date
    _strays: list[Row] = field(default_factory=list, init=False, repr=False)
    _notes: list[str] = field(default_factory=list, init=False)

    def pages(self, until: date) -> Iterator[TransactionPage]:
        """A page for each list, and a last one that covers it all, which does not come when a list has failed.

        The pages before claim no day as covered, so that the next sync reads what failed from where it was.
        """
        lists: tuple[tuple[str, Callable[[], Records]], ...] = (
            ("orders of shares", self._shares),
            ("orders of options", self._options),
            ("orders of coins", self._coins),
            ("dividends", self._dividends),
            ("transfers", self._transfers),
            ("transfers from other brokers", self._acats),
            ("interest", self._interest),
            ("fees", self._fees),
            ("splits", self._splits),
            ("deposit boosts", self._boosts),
            ("changes of options", self._option_actions),
            ("transfers of coins", self._coin_transfers),
        )
        trouble: Refused | UnexpectedReply | None = None
        for place, (title, read) in enumerate(lists, start=1):
            try:
                records = tuple(read())
            except (Refused, UnexpectedReply) as error:
                trouble = trouble or type(error)(f"Robinhood's {title}: {error}")
                continue
            yield self._page(records, self.since, place, len(lists) + 1)
        if trouble is not None:
            raise trouble
        strays = (
            ParkedRecord(
                external_id=f"stray:{row['id']}", reason="it does not say to which account it belongs", raw=row
            )
            for row in self._strays
        )
        yield self._page(tuple(strays), until, len(lists) + 1, len(lists) + 1)

    def _page(
        self, records: tuple[robinhood_orders.Record, ...], covers_to: date, place: int, count: int
    ) -> TransactionPage:
        notes, self._notes = tuple(self._notes), []
        return TransactionPage(
            records=records, covers_from=self.since, covers_to=covers_to, number=place, window_count=count, notes=notes
        )

    # --- Asking -------------------------------------------------------------------------------------------------------

    def _rows(
        self, host: str, path: str, params: Mapping[str, str] | None = None, *, is_whole: bool = False
    ) -> list[Row]:
        """Of all accounts; unless `is_whole`, to the page on which nothing happened since `since`."""
        earliest = (self.since - ONE_DAY).isoformat()

        def is_last(page: list[Row]) -> bool:
            return bool(page) and all("" < changed_on(row) < earliest for row in page)

        more = {"is_last": is_last} if not is_whole else {}
        return self.app.rows(host, path, operation=Operation.TRANSACTIONS, params=params, **more)

    def _mine(self, rows: Iterable[Row], name: str) -> list[Row]:
        """Those of this account, oldest first: no filter by account can be trusted to be heeded."""
        mine = []
        with understood(name):
            for row in rows:
                sure, unsure = robinhood_cash.accounts_named(row)
                if (sure | unsure) & self.own or not (sure or self.others):
                    mine.append(row)
                elif self.takes_strays and not (sure | unsure) & self.others:
                    self._strays.append(row)
            return sorted(mine, key=lambda row: str(row.get("created_at") or changed_on(row)))

    def _list(self, host: str, path: str, name: str, **params: str) -> list[Row]:
        asked = {"account_numbers": self.account, **params}
        return self._mine(self._rows(host, path, asked), name)

    @property
    def _updated(self) -> dict[str, str]:
        start = datetime.combine(self.since, time.min, NEW_YORK).astimezone(UTC)
        return {"updated_at[gte]": start.isoformat().replace("+00:00", "Z")}

    def _learn(self, ids: Iterable[str], name: str) -> None:
        with understood(name):
            wanted = set(ids)
        self.listing.learn(wanted, Operation.TRANSACTIONS)

    # --- Orders -------------------------------------------------------------------------------------------------------

    def _shares(self) -> Records:
        orders = self._list(API, "/orders/", "orders of shares", **self._updated)
        self._learn(map(share_id, orders), "orders of shares")
        return robinhood_orders.shares(orders, named=lambda order: self.listing.share(share_id(order)))

    def _options(self) -> Records:
        """Orders, and how options ended. An option that expired was held or owed: only all its orders say which."""
        earliest = (self.since - ONE_DAY).isoformat()
        told = self._list(API, "/options/events/", "ends of options")
        events = [event for event in told if changed_on(event) >= earliest]
        needs_all = any(event.get("type") == robinhood_endings.EXPIRATION for event in events)
        orders = self._list(API, "/options/orders/", "orders of options", **({} if needs_all else self._updated))
        with understood("orders of options"):
            self.listing.remember(orders)
        records = list(robinhood_orders.options(orders))
        self._notes += robinhood_orders.notes(orders)
        net = robinhood_endings.traded(records)
        return chain(records, robinhood_endings.endings(events, self.listing.option, net))

    def _coins(self) -> Records:
        if not self.has_coins:
            return iter(())
        return robinhood_orders.coins(self._mine(self._rows(NUMMUS, "/orders/"), "orders of coins"))

    # --- Everything else ----------------------------------------------------------------------------------------------

    def _dividends(self) -> Records:
        asked = {"account_numbers": self.account, **ALL_ACCOUNTS}
        rows = self._mine(self._rows(API, "/dividends/", asked, is_whole=True), "dividends")
        self._learn((tail(row["instrument"]) for row in rows), "dividends")
        return robinhood_cash.dividends(rows, self.listing.share)

    def _transfers(self) -> Records:
        """The unified list has them all, or nearly: of the two older lists, what it does not tell is added.

        A transfer may have another id there, so they are compared within the days that both lists have been read for.
        """
        earliest = (self.since - ONE_DAY).isoformat()
        unified = self._rows(BONFIRE, "/paymenthub/unified_transfers/", {"page_size": "50"})
        older = [*self._rows(API, "/ach/received/transfers/"), *self._rows(API, "/wire/transfers")]
        with understood("transfers"):
            recent = [row for row in older if changed_on(row) >= earliest]
            added = [row for row in recent if not robinhood_cash.told_already(row, unified)]
        mine = self._mine([*unified, *added], "transfers")
        return robinhood_cash.transfers(mine, self.account, self.own)

    def _acats(self) -> Records:
        moves = self._mine(self._rows(BONFIRE, "/acats/", {"both_directions": "true"}), "transfers from other brokers")
        ids = (asset["instrument_id"] for move in moves for asset in move["assets"] if asset.get("instrument_id"))
        self._learn(ids, "transfers from other brokers")
        return robinhood_cash.acats(moves, self.listing.share)

    def _interest(self) -> Records:
        sweeps = self._list(API, "/accounts/sweeps/", "interest", **ALL_ACCOUNTS)
        loans = self._list(API, "/accounts/stock_loan_payments/", "payments for lent shares", **ALL_ACCOUNTS)
        margin = self._list(API, "/cash_journal/margin_interest_charges/", "margin interest", **ALL_ACCOUNTS)
        return chain(
            robinhood_cash.sweeps(sweeps), robinhood_cash.stock_loans(loans), robinhood_cash.margin_interest(margin)
        )

    def _fees(self) -> Records:
        gold = self._list(API, "/subscription/subscription_fees/", "Gold fees", **ALL_ACCOUNTS)
        receipts = self._list(API, "/corp_actions/adr_fees/", "fees of receipts", **ALL_ACCOUNTS)
        self._learn((tail(row["instrument"]) for row in receipts), "fees of receipts")
        return chain(robinhood_cash.gold_fees(gold), robinhood_cash.adr_fees(receipts, self.listing.share))

    def _splits(self) -> Records:
        rows = self._list(API, "/corp_actions/v2/split_payments/", "splits", **ALL_ACCOUNTS)
        self._learn((row["split"][name] for row in rows for name in robinhood_cash.SPLIT_SHARES), "splits")
        return robinhood_cash.splits(rows, self.listing.share)

    def _boosts(self) -> Records:
        return robinhood_cash.boosts(self._minor(BONFIRE, "/gold/deposit_boost_paid_payouts/", "deposit boosts"))

    def _option_actions(self) -> Records:
        return robinhood_cash.option_actions(self._minor(API, "/options/corp_actions/", "changes of options"))

    def _coin_transfers(self) -> Records:
        return robinhood_cash.coin_transfers(self._minor(BONFIRE, "/crypto/transfers/history/", "transfers of coins"))

    def _minor(self, host: str, path: str, name: str) -> list[Row]:
        """A list that few people have rows in: when Robinhood drops it, that is a note and not a failure for ever."""
        try:
            return self._list(host, path, name)
        except Gone:
            self._notes.append(f"Robinhood does not list {name} any more. Everything else was read.")
            return []
