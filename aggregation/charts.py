"""Rows in, plotly Figure out; no request, no query. Colours come from the page, so that they fit light and dark."""

from collections.abc import Sequence
from decimal import Decimal

import plotly.graph_objects as go

from aggregation.account_aggregator import Slice
from aggregation.positions.table import Section

PLAIN = go.layout.Template()  # plotly's own brings colours and fifty times the size


def allocation(slices: Sequence[Slice]) -> go.Figure:
    """Shares of one currency's net asset value. Bars and no pie: what is sold short is below zero. No amounts, so
    that nothing is given away while amounts are hidden."""
    known = [part for part in slices if part.weight is not None][::-1]
    return go.Figure(
        go.Bar(
            x=[float(part.weight or 0) for part in known],
            y=[part.label for part in known],
            orientation="h",
            hovertemplate="%{x:.1%}<extra></extra>",
        ),
        {"template": PLAIN, "xaxis": {"tickformat": ".0%"}, "yaxis": {"type": "category"}, "hovermode": "y unified"},
    )


def shares(parts: Sequence[tuple[str, Decimal | None]]) -> go.Figure:
    """Shares of all that is held, as (label, 0..1). Bars and no pie: what is sold short is below zero."""
    return allocation([Slice(label, "", None, weight) for label, weight in parts])


def treemap(sections: Sequence[Section]) -> go.Figure:
    """All that is held in boxes of its size, within those of its group. By weight and not by amount, so that nothing is
    given away while amounts are hidden. What is sold short, or of unknown value, has no size and no box."""
    ids, labels, parents, values = [], [], [], []
    for section in sections:
        boxes = [row for row in section.rows if row.weight is not None and row.weight > 0]
        if boxes:
            ids.append(section.key)
            labels.append(section.label or "All")
            parents.append("")
            values.append(0.0)  # its boxes give it its size
        for number, row in enumerate(boxes):
            ids.append(f"{section.key}/{number}")
            labels.append(row.title)
            parents.append(section.key)
            values.append(float(row.weight or 0))
    return go.Figure(
        go.Treemap(
            ids=ids,
            labels=labels,
            parents=parents,
            values=values,
            branchvalues="remainder",
            textinfo="label+percent root",
            hovertemplate="%{label}: %{percentRoot:.1%}<extra></extra>",
            tiling={"pad": 2},
            pathbar={"visible": False},
        ),
        {"template": PLAIN},
    )
