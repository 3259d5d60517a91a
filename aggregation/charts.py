"""Rows in, plotly Figure out; no request, no query. Colours come from the page, so that they fit light and dark."""

from collections.abc import Sequence

import plotly.graph_objects as go

from aggregation.positions.table import Section

PLAIN = go.layout.Template()  # plotly's own brings colours and fifty times the size


def allocation(sections: Sequence[Section]) -> go.Figure | None:
    """Each section's share of all that is held, None when none is known. Bars and no pie: what is sold short is below
    zero. No amounts, so that nothing is given away while amounts are hidden."""
    known = [section for section in sections if section.weight is not None][::-1]
    if not known:
        return None
    return go.Figure(
        go.Bar(
            x=[float(section.weight or 0) for section in known],
            y=[section.label for section in known],
            orientation="h",
            hovertemplate="%{x:.1%}<extra></extra>",
        ),
        {"template": PLAIN, "xaxis": {"tickformat": ".0%"}, "yaxis": {"type": "category"}, "hovermode": "y unified"},
    )


def treemap(sections: Sequence[Section]) -> go.Figure:
    """All that is held in boxes of its size, within those of its group. By weight and not by amount, so that nothing is
    given away while amounts are hidden. What is sold short, or of unknown value, has no size and no box; its
    shares are those of everything, as in the table."""
    ids, labels, parents, values, shares = [], [], [], [], []
    for section in sections:
        boxes = [row for row in section.rows if row.weight is not None and row.weight > 0]
        if boxes:
            ids.append(section.key)
            labels.append(section.label or "All")
            parents.append("")
            values.append(0.0)  # its boxes give it its size
            shares.append("" if section.weight is None else f"{section.weight:.1%}")
        for number, row in enumerate(boxes):
            ids.append(f"{section.key}/{number}")
            labels.append(row.title)
            parents.append(section.key)
            values.append(float(row.weight or 0))
            shares.append(f"{row.weight:.1%}")
    return go.Figure(
        go.Treemap(
            ids=ids,
            labels=labels,
            parents=parents,
            values=values,
            branchvalues="remainder",
            text=shares,
            textinfo="label+text",
            hovertemplate="%{label}: %{text}<extra></extra>",
            tiling={"pad": 2},
            pathbar={"visible": False},
        ),
        {"template": PLAIN},
    )
