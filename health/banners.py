"""What every page says of planned maintenance: each moment until the person puts it away, and then never again."""

from dataclasses import dataclass
from datetime import datetime

from brokerhub.kernel.hints import hints
from brokerhub.kernel.models import User
from connections.models import Connection
from health import alerts
from health.maintenance import BANNER
from health.maintenance_models import MaintenanceNotice, Moment, NoticeChannel, Occurrence


@dataclass(frozen=True, slots=True)
class Banner:
    occurrence: Occurrence
    moment: Moment

    @property
    def key(self) -> str:
        """Names it in the form that puts it away."""
        return f"{self.occurrence.key}-{self.moment}"


def shown_to(user: User, now: datetime) -> list[Banner]:
    """Of the person's brokers, soonest first. Where nothing is planned it asks the database nothing."""
    told: list[Occurrence] = hints.get(BANNER) or []
    if not told or not alerts.choice_of(user).show_banner:
        return []
    mine = dict(
        Connection.objects.for_user(user).by_api().open().order_by("-created_at").values_list("broker", "created_at")
    )
    found = []
    for each in told:
        moment = alerts.moment_of(each, now)
        is_known = each.broker in mine and mine[each.broker] < each.ends_at  # who came later was not kept waiting
        if moment and is_known and not (moment is Moment.END and each.is_routine):
            found.append(Banner(each, moment))
    return _not_put_away(user, found)


def _not_put_away(user: User, banners: list[Banner]) -> list[Banner]:
    if not banners:
        return []
    starts = [each.occurrence.starts_at for each in banners]
    gone = set(
        MaintenanceNotice.objects.filter(user=user, channel=NoticeChannel.BANNER, starts_at__in=starts).values_list(
            "broker", "title", "starts_at", "moment"
        )
    )
    return [
        each
        for each in banners
        if (each.occurrence.broker, each.occurrence.title, each.occurrence.starts_at, each.moment) not in gone
    ]


def put_away(user: User, key: str, now: datetime) -> None:
    """Never show this one to the person again. One that is not shown any more is nothing to do."""
    for each in shown_to(user, now):
        if each.key == key:
            event = alerts.event(each.occurrence, each.moment, NoticeChannel.BANNER)
            MaintenanceNotice.objects.get_or_create(**event, user=user)
