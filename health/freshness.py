"""How fresh each broker's data are: when which kind last arrived, and scheduled syncs that did not run.

Who syncs knows; it stands to our right, so it says how to ask (`asked_by`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from brokerhub.kernel.hints import hints
from connections.brokers.records import Broker

KEPT = 20  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """One broker's data. The times are the newest of all connections; None: not in the last month."""

    positions_at: datetime | None = None
    balances_at: datetime | None = None
    transactions_at: datetime | None = None
    scheduled: int = 0  # connections that are to be read by themselves and can be
    late: int = 0  # of them: their turn came and went, and no sync has started
    vain: int = 0  # of them: a sync was started and has brought nothing in the time it has

    @property
    def is_stale(self) -> bool:
        """More than half of what is tried brings nothing: the broker does not give its data, whatever else it says."""
        return self.vain * 2 > self.scheduled

    @property
    def tone(self) -> str:
        return "bad" if self.is_stale else "warn" if self.late or self.vain else "good"

    @property
    def state_name(self) -> str:
        return {"On time": "on_time", "Late": "late", "Stopped": "stopped"}[self.word]

    @property
    def word(self) -> str:
        if self.is_stale:
            return "Stopped"
        return "Late" if self.late or self.vain else "On time"


NOTHING = Freshness()
Source = Callable[[Mapping[Broker, timedelta], datetime], Mapping[Broker, Freshness]]
_sources: list[Source] = []


def asked_by(source: Source) -> None:
    """`source(grace, now)` is asked from now on; `grace` is how long a sync may take after its turn, by broker."""
    _sources[:] = [source]


def of_brokers(grace: Mapping[Broker, timedelta], now: datetime) -> Mapping[Broker, Freshness]:
    """Those of which anything is known; a few seconds old at most."""
    found: Mapping[Broker, Freshness] | None = hints.get("health:freshness")
    if found is None:
        found = {broker: it for source in _sources for broker, it in source(grace, now).items()}
        hints.set("health:freshness", found, timeout=KEPT)
    return found
