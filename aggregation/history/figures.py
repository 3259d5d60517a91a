"""Lines in, plotly Figure out; no request, no query. Colours come from the page, so that they fit light and dark.

The days of a line follow each other without a hole, so an x axis is its first day and a step: ten years stay small.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal

import plotly.graph_objects as go

from aggregation.charts import PLAIN
from aggregation.history.lines import LinePoint
from aggregation.models import PointBasis

DAY = 86_400_000  # milliseconds
MOST_BARS = 180  # for each part; of longer times every second, third or n-th day is stacked, the last one always
LOOKS = {  # what is less sure is drawn less firmly; the same colour, because it is the same line
    PointBasis.OBSERVED: ("Said by the broker", "solid"),
    PointBasis.REBUILT: ("Rebuilt", "dot"),
    PointBasis.CARRIED: ("Carried over", "dash"),
}
MOST_EVENTS = 24
CASH, OTHER = "cash", "not_itemised"


def _number(amount: Decimal | None) -> float | None:
    return None if amount is None else round(float(amount), 2)


def value(points: Sequence[LinePoint], currency: str, joined: Mapping[date, Sequence[str]]) -> go.Figure:
    """The value, broken where a day is unknown and drawn by how it is known; what was paid in; events on the line.

    `joined` names the accounts whose history begins on a day.
    """
    traces = [*_by_basis(points, currency)]
    traces.append(
        _daily(
            points,
            [_number(point.contributed) for point in points],
            name="Paid in, less taken out",
            line={"shape": "hv", "width": 1.5},
            meta={"colour": "chart-3"},
            hovertemplate="%{y:,.2f} " + currency,
        )
    )
    if events := _events(points, currency, joined):
        traces.append(events)
    return go.Figure(traces, _layout(currency))


def _by_basis(points: Sequence[LinePoint], currency: str) -> Iterator[go.Scatter]:
    """One trace for each way of knowing; each stretch begins a day early, so that the line does not fall apart."""
    for basis, (name, dash) in LOOKS.items():
        values = [
            _number(point.value) if _belongs(points, place, basis) else None for place, point in enumerate(points)
        ]
        if any(found is not None for found in values):
            yield _daily(
                points,
                values,
                name=name,
                line={"dash": dash, "width": 2},
                meta={"colour": "chart-1"},
                hovertemplate="%{y:,.2f} " + currency,
            )


def _belongs(points: Sequence[LinePoint], place: int, basis: PointBasis) -> bool:
    following = points[place + 1] if place + 1 < len(points) else None
    return points[place].basis is basis or (following is not None and following.basis is basis)


def _daily(points: Sequence[LinePoint], values: list[float | None], **looks: object) -> go.Scatter:
    first = points[0].on.isoformat() if points else None
    return go.Scatter(x0=first, dx=DAY, y=values, mode="lines", connectgaps=False, **looks)


def _events(points: Sequence[LinePoint], currency: str, joined: Mapping[date, Sequence[str]]) -> go.Scatter | None:
    """The largest payments and every account that begins, as marks on the line."""
    moved = sorted((point for point in points if point.flow), key=_size, reverse=True)[:MOST_EVENTS]
    days = sorted({point.on: point for point in [*moved, *(p for p in points if p.on in joined)]}.items())
    shown = [(on, point) for on, point in days if point.value is not None]
    if not shown:
        return None
    return go.Scatter(
        x=[on.isoformat() for on, _ in shown],
        y=[_number(point.value) for _, point in shown],
        mode="markers",
        name="Events",
        text=["<br>".join(_words(point, currency, joined.get(on, ()))) for on, point in shown],
        hovertemplate="%{text}",
        marker={"size": 7, "symbol": [_symbol(point) for _, point in shown]},
        meta={"colour": "chart-6"},
    )


def _size(point: LinePoint) -> Decimal:
    return abs(point.flow or Decimal(0))


def _words(point: LinePoint, currency: str, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        yield f"{name} begins"
    if point.flow:
        yield f"{'Paid in' if point.flow > 0 else 'Taken out'} {abs(point.flow):,.2f} {currency}"


def _symbol(point: LinePoint) -> str:
    if not point.flow:
        return "diamond"
    return "triangle-up" if point.flow > 0 else "triangle-down"


def stacked(points: Sequence[LinePoint], currency: str, parts: Mapping[str, str], *, by_account: bool) -> go.Figure:
    """Each day's parts on top of each other, what is owed below zero; a day that is not known stays empty.

    `parts` gives the parts their names, in the order they are stacked.
    """
    step = -(-len(points) // MOST_BARS)
    shown = points[::-1][::step][::-1]
    traces = []
    for key, name in parts.items():
        values = [_number(_part(point, key, by_account=by_account)) for point in shown]
        if any(values):
            traces.append(
                go.Bar(
                    x=[point.on.isoformat() for point in shown],
                    y=values,
                    name=name,
                    width=step * DAY,
                    hovertemplate="%{y:,.2f} " + currency,
                )
            )
    layout = _layout(currency)
    layout["barmode"], layout["bargap"] = "relative", 0
    return go.Figure(traces, layout)


def _part(point: LinePoint, key: str, *, by_account: bool) -> Decimal | None:
    if point.value is None:
        return None
    return point.by_account.get(int(key)) if by_account else point.by_class.get(key, Decimal(0))


def growth(curve: Mapping[date, Decimal], last: date) -> go.Figure:
    """The time-weighted return since the first day, in percent; it ends where it loses its meaning."""
    first = min(curve)
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    values = [None if (found := curve.get(on)) is None else round(float(found - 1), 6) for on in days]
    line = go.Scatter(
        x0=first.isoformat(),
        dx=DAY,
        y=values,
        mode="lines",
        name="Return",
        line={"width": 2},
        meta={"colour": "chart-1"},
        hovertemplate="%{y:+.2%}<extra></extra>",
    )
    return go.Figure(line, {**_layout(""), "yaxis": {"tickformat": ".0%"}, "showlegend": False})


def _layout(currency: str) -> dict[str, object]:
    return {
        "template": PLAIN,
        "xaxis": {"type": "date"},
        "yaxis": {"title": {"text": currency}, "tickformat": ",.0f"},
        "showlegend": True,
    }
