"""What Robinhood's app lists: shares by id, options by id, prices. Asked for once each while a connector lives."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from connections.brokers import robinhood_rows
from connections.brokers.calls import Operation
from connections.brokers.records import AssetClass, InstrumentRecord
from connections.brokers.robinhood_app import API, AppSession, Gone, root
from connections.brokers.robinhood_cash import tail
from connections.brokers.robinhood_rows import NotUnderstood, Row, maybe, option, understood

SHARES_AT_ONCE, QUOTES_AT_ONCE, OPTIONS_AT_ONCE = 50, 100, 17  # what others have seen answered


def _some(ids: list[str], size: int) -> Iterator[list[str]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


@dataclass(slots=True)
class Listing:
    app: AppSession
    _shares: dict[str, InstrumentRecord | None] = field(
        default_factory=dict, init=False, repr=False
    )  # None: not listed
    _contracts: dict[str, Row] = field(default_factory=dict, init=False, repr=False)

    # Shares

    def learn(self, ids: Iterable[str], operation: Operation) -> None:
        """Ask for those that are not known yet. A filter may not be heeded, so what is missing is asked for alone."""
        missing = sorted(set(ids) - self._shares.keys())
        for some in _some(missing, SHARES_AT_ONCE):
            answer = self.app.get(API, "/instruments/", operation=operation, params={"ids": ",".join(some)})
            with understood("list of shares"):
                told = {row["id"]: row for row in robinhood_rows.rows(answer, "results")}
                self._shares |= {each: _share(told[each]) for each in some if each in told}
        for each in missing:
            if each not in self._shares:
                self._shares[each] = self._alone(each, operation)

    def _alone(self, share_id: str, operation: Operation) -> InstrumentRecord | None:
        try:
            row = self.app.get(API, f"/instruments/{share_id}/", operation=operation)
        except Gone:
            return None
        with understood("list of shares"):
            return _share(row)

    def share(self, share_id: str) -> InstrumentRecord:
        """A share that was learnt. Raises NotUnderstood when Robinhood does not list it."""
        found = self._shares[share_id]
        if found is None:
            raise NotUnderstood("a share that Robinhood does not list")
        return found

    # Options

    def remember(self, orders: Iterable[Row]) -> None:
        """Orders tell the contracts of their legs, also of those that are long over."""
        for order in orders:
            for leg in robinhood_rows.rows(order, "legs"):
                about = {"chain_symbol": order["chain_symbol"]}
                self._contracts.setdefault(leg.get("option_id") or tail(leg["option"]), {**leg, **about})

    def contract(self, option_id: str, operation: Operation) -> Row:
        """Raises NotUnderstood when Robinhood does not list it."""
        if option_id not in self._contracts:
            try:
                found = self.app.get(API, f"/options/instruments/{option_id}/", operation=operation)
            except Gone as error:
                raise NotUnderstood("an option that Robinhood does not list") from error
            self._contracts[option_id] = found
        return self._contracts[option_id]

    def option(self, option_id: str) -> InstrumentRecord:
        """Of the past. Raises NotUnderstood."""
        row = self.contract(option_id, Operation.TRANSACTIONS)
        return option(row["chain_symbol"], row, maybe(row, "trade_value_multiplier"))

    # Prices

    def share_prices(self, symbols: Iterable[str]) -> dict[str, Decimal]:
        """By symbol; a symbol that is not known comes back as null, or not at all."""
        found: dict[str, Decimal] = {}
        for some in _some(sorted(set(symbols)), QUOTES_AT_ONCE):
            found |= robinhood_rows.share_prices(self._quotes("/quotes/", {"symbols": ",".join(some)}))
        return found

    def option_prices(self, ids: Iterable[str]) -> dict[str, Decimal]:
        """By id of the contract."""
        found: dict[str, Decimal] = {}
        for some in _some(sorted(set(ids)), OPTIONS_AT_ONCE):
            addresses = ",".join(f"{root(API)}/options/instruments/{each}/" for each in some)
            quotes = self._quotes("/marketdata/options/", {"instruments": addresses})
            found |= robinhood_rows.option_prices(
                {
                    "instrument_id": row.get("instrument_id") or tail(row["instrument"]),
                    "mark_price": row.get("adjusted_mark_price") or row["mark_price"],
                }
                for row in quotes
            )
        return found

    def _quotes(self, path: str, params: dict[str, str]) -> list[Row]:
        answer = self.app.get(API, path, operation=Operation.HOLDINGS, params=params)
        with understood("prices"):
            return robinhood_rows.rows(answer, "results")

    def coin_prices(self, pairs: Iterable[str]) -> dict[str, Decimal]:
        """By code of the coin. A pair that nobody quotes has no price."""
        quotes: list[Any] = []
        for pair in sorted(set(pairs)):
            try:
                quotes.append(
                    self.app.get(API, f"/marketdata/forex/quotes/{pair}/", operation=Operation.HOLDINGS),
                )
            except Gone:
                continue
        with understood("prices"):
            return robinhood_rows.coin_prices(quotes)


def _share(row: Row) -> InstrumentRecord:
    if not row["symbol"]:
        raise ValueError("an instrument without symbol")
    return InstrumentRecord(
        asset_class=AssetClass.ETF if row.get("type") == "etp" else AssetClass.EQUITY,
        symbol=row["symbol"],
        name=row.get("simple_name") or row.get("name") or "",
    )
