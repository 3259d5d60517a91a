"""Income by month in, plotly Figure out; no request, no query. Colours come from the page."""

from collections.abc import Sequence
from datetime import date

import plotly.graph_objects as go

from aggregation.charts import PLAIN
from aggregation.lots.income import COUNTING, Line


def income(months: Sequence[tuple[date, Line]], currency: str) -> go.Figure:
    """What came in above zero and what went out below, stacked; the same numbers stand in the table."""
    present = [what for what in COUNTING if any(line.amounts.get(what) for _, line in months)]
    bars = [
        go.Bar(
            name=what.label,
            x=[month.isoformat() for month, _ in months],
            y=[float(line.amounts.get(what) or 0) for _, line in months],
            hovertemplate="%{y:,.2f} " + currency + "<extra>" + what.label + "</extra>",
        )
        for what in present
    ]
    layout = {
        "template": PLAIN,
        "barmode": "relative",
        "showlegend": True,
        "legend": {"orientation": "h", "y": -0.2},
        "xaxis": {"type": "date", "tickformat": "%b %Y"},
        "yaxis": {"title": {"text": currency}, "tickformat": ",.0f"},
    }
    return go.Figure(bars, layout)
