"""Transfers over brokers: what left one account and what arrived in another within days, units in kind or cash.

Only what cannot be anything else is linked by the hub: the same units of the same thing, within 15 days, in two
accounts of one person, and no other leg that fits as well; of cash the same amount of one currency within 5 days,
unless it is a round sum that was paid in and taken out like others. Where several fit, the company of the other things
moved between the same two accounts decides, or else nobody but the person. A rejected pair is never linked again.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import Q

from aggregation.models import CASH_MOVES, BookStatus, Instrument, Transaction, TransferLink
from aggregation.reconciliation.models import LinkState
from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.models import User
from connections.brokers.records import TransactionKind

WITHIN = timedelta(days=15)
CASH_WITHIN = timedelta(days=5)
ROUND = 100  # a deposit of a multiple of it may be anything: people like round sums
KINDS = (TransactionKind.TRANSFER_IN, TransactionKind.TRANSFER_OUT)
SHOWN = 100  # undecided pairs; the next ones come as these are decided
NO_COUNTERPART = ("opening", "adjustment")  # booked by the hub's corrections, out of nowhere
Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Leg:
    """Units, or cash, that left (`units` < 0) or came (> 0). `thing` is the same for one instrument under whatever
    name, and for one currency; `days` is how far apart the two sides may be. `asks`: as likely a coincidence."""

    id: int
    account: int
    thing: str
    units: Decimal
    on: date
    days: timedelta = WITHIN
    asks: bool = False


def pairs(legs: Collection[Leg], *, rejected: Collection[Pair] = ()) -> list[tuple[Leg, Leg]]:
    """(what left, what arrived) where that is certain. Pure; the order of `legs` does not matter."""
    return sorted_out(legs, rejected=rejected)[0]


def sorted_out(
    legs: Collection[Leg], *, rejected: Collection[Pair] = ()
) -> tuple[list[tuple[Leg, Leg]], list[tuple[Leg, Leg]]]:
    """The certain pairs, and those that are left: each may be one transfer, and only a person can tell. Pure."""
    candidates = _candidates(legs, frozenset(rejected))
    found: list[tuple[Leg, Leg]] = []
    while certain := _told(_certain(candidates)) or _told(_twins(candidates)) or _told(_by_company(candidates, found)):
        found += certain
        taken = {leg.id for pair in certain for leg in pair}
        candidates = [pair for pair in candidates if not taken & {pair[0].id, pair[1].id}]
    return sorted(found, key=lambda pair: (pair[0].on, pair[0].id)), candidates


def _told(found: list[tuple[Leg, Leg]]) -> list[tuple[Leg, Leg]]:
    """Those that need no person: a coincidence on both sides proves nothing."""
    return [pair for pair in found if not (pair[0].asks and pair[1].asks)]


def _candidates(legs: Collection[Leg], rejected: frozenset[Pair]) -> list[tuple[Leg, Leg]]:
    arriving: dict[tuple[str, Decimal], list[Leg]] = defaultdict(list)
    for leg in legs:
        if leg.units > 0:
            arriving[leg.thing, leg.units].append(leg)
    return [
        (left, came)
        for left in sorted(legs, key=lambda leg: (leg.on, leg.id))
        if left.units < 0
        for came in sorted(arriving[left.thing, -left.units], key=lambda leg: (leg.on, leg.id))
        if came.account != left.account and abs(came.on - left.on) <= left.days and (left.id, came.id) not in rejected
    ]


def _certain(candidates: list[tuple[Leg, Leg]]) -> list[tuple[Leg, Leg]]:
    """Those in which neither leg has another candidate."""
    times = Counter(leg.id for pair in candidates for leg in pair)
    return [pair for pair in candidates if times[pair[0].id] == times[pair[1].id] == 1]


def _twins(candidates: list[tuple[Leg, Leg]]) -> list[tuple[Leg, Leg]]:
    """Equal parcels between the same two accounts, as many out as in: paired in the order of their days."""
    partners: dict[int, set[int]] = defaultdict(set)
    groups: dict[tuple[int, int, str, Decimal], tuple[set[Leg], set[Leg]]] = {}
    for left, came in candidates:
        partners[left.id].add(came.account)
        partners[came.id].add(left.account)
        key = (left.account, came.account, left.thing, came.units)
        outs, ins = groups.setdefault(key, (set(), set()))
        outs.add(left)
        ins.add(came)
    allowed = {(left.id, came.id) for left, came in candidates}
    for outs, ins in groups.values():
        alone = all(len(partners[leg.id]) == 1 for leg in (*outs, *ins))
        if len(outs) == len(ins) and alone:
            by_day = [sorted(side, key=lambda leg: (leg.on, leg.id)) for side in (outs, ins)]
            paired = list(zip(*by_day, strict=True))
            if all((left.id, came.id) in allowed for left, came in paired):
                return paired
    return []


def _by_company(candidates: list[tuple[Leg, Leg]], found: Iterable[tuple[Leg, Leg]]) -> list[tuple[Leg, Leg]]:
    """Of several that fit, the one between whose accounts other things moved on the same two days."""
    ways = {(left.account, left.on, came.account, came.on) for left, came in found}
    likely = [pair for pair in candidates if (pair[0].account, pair[0].on, pair[1].account, pair[1].on) in ways]
    return _certain(likely)


# --- In the database --------------------------------------------------------------------------------------------------
@transaction.atomic
def match(user_id: int) -> None:
    """Link the legs of the person's transfers. What people decided goes on to corrected rows; twice changes nothing."""
    legs = [*_legs(user_id), *_cash_legs(user_id)]
    links = list(TransferLink.objects.filter(outgoing__account__connection__user=user_id))
    if not legs and not links:
        return
    counting = {leg.id for leg in legs}
    _follow(links, counting)
    kept = [link for link in links if link.state != LinkState.MATCHED]
    rejected = [(link.outgoing_id, link.incoming_id) for link in kept if link.state == LinkState.REJECTED]
    decided = {
        leg for link in kept if link.state == LinkState.CONFIRMED for leg in (link.outgoing_id, link.incoming_id)
    }
    wanted = {
        (left.id, came.id) for left, came in pairs([leg for leg in legs if leg.id not in decided], rejected=rejected)
    }
    matched = {(link.outgoing_id, link.incoming_id): link.pk for link in links if link.state == LinkState.MATCHED}
    TransferLink.objects.filter(pk__in=[pk for pair, pk in matched.items() if pair not in wanted]).delete()
    TransferLink.objects.bulk_create(
        TransferLink(outgoing_id=left, incoming_id=came) for left, came in sorted(wanted - matched.keys())
    )


def undecided(user: User) -> list[tuple[Transaction, Transaction]]:
    """(what left, what may be its arrival), the newest first, where several fit and nobody has decided."""
    legs = [*_legs(user.pk), *_cash_legs(user.pk)]
    known = TransferLink.objects.for_user(user).values_list("outgoing_id", "incoming_id", "state")
    rejected = [(left, came) for left, came, state in known if state == LinkState.REJECTED]
    linked = {leg for left, came, state in known if state != LinkState.REJECTED for leg in (left, came)}
    _, left_over = sorted_out([leg for leg in legs if leg.id not in linked], rejected=rejected)
    newest = sorted(left_over, key=lambda pair: (pair[0].on, pair[0].id), reverse=True)[:SHOWN]
    rows = Transaction.objects.select_related("account__connection", "instrument")
    found = rows.defer("raw", "account__connection__sealed_credentials").in_bulk(
        {leg.id for pair in newest for leg in pair}
    )
    return [(found[left.id], found[came.id]) for left, came in newest]


def _cash_legs(user_id: int) -> list[Leg]:
    """Money that went out of an account or came into one; what the hub itself booked out of nowhere is no side."""
    rows = Transaction.objects.in_books().filter(
        account__connection__user=user_id, kind__in=CASH_MOVES, instrument=None, account__closed_on=None
    )
    found = rows.exclude(subtype__in=NO_COUNTERPART).exclude(net_amount=0)
    facts = found.values_list("pk", "account_id", "currency", "net_amount", "traded_on", "kind")
    return [
        Leg(pk, account, f"cash:{currency}", net, on, CASH_WITHIN, asks=kind not in KINDS and not net % ROUND)
        for pk, account, currency, net, on, kind in facts
    ]


def _legs(user_id: int) -> list[Leg]:
    rows = Transaction.objects.in_books().filter(
        account__connection__user=user_id, kind__in=KINDS, instrument__isnull=False, quantity__isnull=False
    )
    found = rows.exclude(subtype__in=NO_COUNTERPART).exclude(quantity=0).select_related("instrument")
    fields = ("account_id", "quantity", "traded_on", "instrument__isin", "instrument__cusip")
    return [
        Leg(row.pk, row.account_id, thing_key(row.instrument), row.quantity, row.traded_on)
        for row in found.only(*fields)
        if row.instrument is not None
    ]


def thing_key(instrument: Instrument) -> str:
    """One name for one security: its CUSIP (which an American ISIN contains), its ISIN, or the hub's own id."""
    if instrument.cusip:
        return instrument.cusip
    if instrument.isin[:2] in ("US", "CA"):
        return instrument.isin[2:11]
    return instrument.isin or f"id:{instrument.pk}"


def _follow(links: list[TransferLink], counting: Collection[int]) -> None:
    """Move what people decided from a row that was corrected to the one that replaced it."""
    lost = {
        leg
        for link in links
        if link.state != LinkState.MATCHED
        for leg in (link.outgoing_id, link.incoming_id)
        if leg not in counting
    }
    if not lost:
        return
    replaced = Q(status__in=[BookStatus.SUPERSEDED, BookStatus.DUPLICATE], superseded_by__in=counting)
    heirs = dict(Transaction.objects.filter(replaced, pk__in=lost).values_list("pk", "superseded_by_id"))
    for link in links:
        if link.state != LinkState.MATCHED and {link.outgoing_id, link.incoming_id} & heirs.keys():
            link.outgoing_id = heirs.get(link.outgoing_id, link.outgoing_id)
            link.incoming_id = heirs.get(link.incoming_id, link.incoming_id)
            clash = TransferLink.objects.filter(Q(outgoing=link.outgoing_id) | Q(incoming=link.incoming_id))
            clash.filter(state=LinkState.MATCHED).delete()
            link.save(update_fields=["outgoing", "incoming"])


@transaction.atomic
def confirm(*, outgoing: Transaction, incoming: Transaction, user: User) -> TransferLink:
    """The person says that these belong together. Raises NotAllowed for what cannot be two sides of one transfer."""
    left, came = _moved(outgoing), _moved(incoming)
    if left[1] >= 0 or left != (came[0], -came[1]):
        raise NotAllowed("These are not two sides of one transfer: what left is not what came.")
    if outgoing.account_id == incoming.account_id:
        raise NotAllowed("Both sides are in the same account.")
    others = TransferLink.objects.filter(Q(outgoing=outgoing) | Q(incoming=incoming))
    others = others.exclude(outgoing=outgoing, incoming=incoming)
    others.filter(state=LinkState.MATCHED).delete()
    if others.filter(state=LinkState.CONFIRMED).exists():
        raise NotAllowed("One of these sides is confirmed as part of another transfer. Part that one first.")
    link, _ = TransferLink.objects.update_or_create(
        outgoing=outgoing, incoming=incoming, defaults={"state": LinkState.CONFIRMED, "decided_by": user}
    )
    return link


def _moved(row: Transaction) -> tuple[str, Decimal]:
    """The currency and its amount, or for units "" and how many: of what it is one thing, a person may know better."""
    return (row.currency, row.net_amount) if row.instrument_id is None else ("", row.quantity or Decimal(0))


@transaction.atomic
def part(*, outgoing: Transaction, incoming: Transaction, user: User) -> TransferLink:
    """The person says that these are two. They are not offered as one again until they say otherwise."""
    link, _ = TransferLink.objects.update_or_create(
        outgoing=outgoing, incoming=incoming, defaults={"state": LinkState.REJECTED, "decided_by": user}
    )
    match(user.pk)
    return link


@transaction.atomic
def decide(link: TransferLink, *, state: LinkState, user: User) -> None:
    """Confirm a link or reject it. A rejected pair is not offered again until it is confirmed."""
    TransferLink.objects.select_for_update().get(pk=link.pk)
    if state == LinkState.CONFIRMED:
        confirm(outgoing=link.outgoing, incoming=link.incoming, user=user)
    else:
        part(outgoing=link.outgoing, incoming=link.incoming, user=user)
