"""What of the comparison needs an operator: ratings to be checked, edits to be reviewed, facts to be read again."""

from collections import Counter
from collections.abc import Sequence

from django.utils import timezone

from brokerhub.kernel.desk import Attention, Pile, by_reason, desk, list_of
from comparison import stale_cells
from comparison.models import BrokerRating, FactEdit, FeeRule, PlanFeature, RatingReport
from comparison.rating_models import RatingState


def _ratings() -> Sequence[Pile]:
    pending = by_reason(
        BrokerRating.objects.filter(state=RatingState.PENDING),
        "state",
        words=lambda state: RatingState(state).label,
        link=lambda state: list_of(BrokerRating, state__exact=state),
    )
    reported = by_reason(
        RatingReport.objects.filter(settled_at=None),
        "settled_at",
        words=lambda _: "Reported by readers",
        link=lambda _: list_of(BrokerRating, reports="open"),
    )
    return [*pending, *reported]


def _edits() -> Sequence[Pile]:
    return by_reason(
        FactEdit.objects.filter(state="pending"),
        "proposed_by__email",
        words=lambda email: f"Proposed by {email or 'nobody known'}",
        link=lambda _: list_of(FactEdit, state__exact="pending"),
    )


def _stale() -> Sequence[Pile]:
    today = timezone.localdate()
    piles: Counter[tuple[str, bool]] = Counter()
    for cell in (*stale_cells.rules(today), *stale_cells.answers(today)):
        piles[cell.kind, cell.is_stale] += 1
    return [
        Pile(
            f"{stale_cells.KINDS[kind]}: {'stale' if is_stale else 'stale within two weeks'}",
            count,
            list_of(PlanFeature if kind == "feature" else FeeRule, freshness=f"{kind}-{'now' if is_stale else 'soon'}"),
        )
        for (kind, is_stale), count in sorted(piles.items(), key=lambda pile: (not pile[0][1], -pile[1]))
    ]


desk.watch(
    Attention(
        title="Ratings to be checked",
        advice="Publish or reject what waits; look at what readers have reported.",
        permission="comparison.view_brokerrating",
        piles=_ratings,
    ),
    Attention(
        title="Edits of the catalogue to be reviewed",
        advice="A second person approves each edit against its source.",
        permission="comparison.view_factedit",
        piles=_edits,
    ),
    Attention(
        title="Facts going stale",
        advice="Read the source again and propose an edit, even one that only moves the date.",
        permission="comparison.view_feerule",
        piles=_stale,
        everything="/admin/comparison/feerule/",
    ),
)
