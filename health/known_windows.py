"""Maintenance that brokers are known to do, with the page that says so. Loaded into the database by `migrate`.

Only Interactive Brokers publishes regular times. Its API page puts a daily reset at midnight of each region and the
full maintenance on Saturday evening (New York); the API's own hosts stand in New York, so that region pauses syncs, and
the others are shown because people whose account is served there notice. Charles Schwab, Robinhood and Alpaca publish
no schedule.
"""

from datetime import date, time, timedelta
from typing import Any

from connections.brokers.records import Broker

IBKR_PAGE = "https://www.interactivebrokers.com/campus/ibkr-api-page/cpapi-v1/"
IBKR_STATUS = "https://www.interactivebrokers.com/en/software/systemStatus.php"
FIRST = date(2024, 1, 1)  # a Monday
DAILY = "FREQ=DAILY"
NIGHT = timedelta(hours=1, minutes=30)


def _nightly(key: str, region: str, zone: str, *, pauses: bool) -> dict[str, Any]:
    return {
        "key": key,
        "broker": Broker.IBKR,
        "title": f"Nightly reset, {region}",
        "details": f"Interactive Brokers restarts its servers for {region} every night from midnight, local time.",
        "source": IBKR_PAGE,
        "timezone": zone,
        "starts_on": FIRST,
        "starts_time": time(0),
        "lasts": NIGHT,
        "repeats": DAILY,
        "pauses_syncs": pauses,
        "is_routine": True,
    }


KNOWN: tuple[dict[str, Any], ...] = (
    _nightly("ibkr-nightly-america", "America", "America/New_York", pauses=True),
    _nightly("ibkr-nightly-europe", "Europe", "Europe/Zurich", pauses=False),
    _nightly("ibkr-nightly-asia", "Asia", "Asia/Hong_Kong", pauses=False),
    {
        "key": "ibkr-weekend",
        "broker": Broker.IBKR,
        "title": "Weekend maintenance",
        "details": "Interactive Brokers maintains all its systems on Saturday evening, New York time.",
        "source": IBKR_STATUS,
        "timezone": "America/New_York",
        "starts_on": date(2024, 1, 6),
        "starts_time": time(18),
        "lasts": timedelta(hours=7, minutes=30),
        "repeats": "FREQ=WEEKLY;BYDAY=SA",
        "pauses_syncs": True,
        "is_routine": True,
    },
)


def load(**_: Any) -> None:
    """Add those that are missing. One that an administrator has changed or switched off stays as it is."""
    from health.maintenance_models import MaintenanceWindow

    MaintenanceWindow.objects.bulk_create((MaintenanceWindow(**known) for known in KNOWN), ignore_conflicts=True)
