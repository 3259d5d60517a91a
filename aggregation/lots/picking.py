"""The lots a person named for their sales, as the engine takes them."""

from collections import defaultdict
from collections.abc import Collection
from decimal import Decimal

from aggregation.lots.engine import Picks
from aggregation.lots.models import LotPick
from aggregation.models import BookStatus

GONE = (BookStatus.SUPERSEDED, BookStatus.DUPLICATE)


def picks_of(accounts: Collection[int]) -> Picks:
    """By sale. A row that was corrected hands its picks on to the row that replaced it. One query."""
    fields = [f"{side}{rest}" for side in ("sale", "lot") for rest in ("_id", "__status", "__superseded_by_id")]
    rows = LotPick.objects.filter(account__in=accounts).order_by("pk").values_list("quantity", *fields)
    found: dict[int, list[tuple[int, Decimal]]] = defaultdict(list)
    for quantity, sale, sale_status, next_sale, lot, lot_status, next_lot in rows:
        sale = next_sale if sale_status in GONE and next_sale else sale
        lot = next_lot if lot_status in GONE and next_lot else lot
        found[sale].append((lot, quantity))
    return found
