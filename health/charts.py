"""Measurements in, plotly Figure out; no request, no query. Colours come from the page."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import plotly.graph_objects as go
from django.utils import timezone

from connections.brokers.calls import Attribution
from health.metrics import Tally, quantiles

PLAIN = go.layout.Template()
SIDES = ((Attribution.BROKER, "Broker's side"), (Attribution.OURS, "Our side"), (Attribution.CREDENTIAL, "A login"))
Series = Mapping[str, Sequence[tuple[datetime, Tally]]]  # operation in words -> its buckets, oldest first


def latency(series: Series, since: datetime, until: datetime) -> dict[str, Any]:
    """How long 95 % of the answers took at most, in milliseconds, a line for each operation; a gap without calls."""
    lines = []
    for name, buckets in series.items():
        values = [quantiles(tally.latency, 0.95)[0] for _, tally in buckets]
        lines.append(
            go.Scatter(
                name=name,
                x=[_clock(at) for at, _ in buckets],
                y=[None if value is None else round(value * 1000, 1) for value in values],
                mode="lines+markers",
                marker={"size": 4},
                hovertemplate="%{y:,.0f} ms",
            )
        )
    return _figure(lines, (since, until), {"title": {"text": "ms"}, "rangemode": "tozero"})


def errors(series: Series, since: datetime, until: datetime) -> dict[str, Any]:
    """The share of failed calls by whose side it was on, in percent of all calls, stacked."""
    total: defaultdict[datetime, Tally] = defaultdict(Tally)
    for buckets in series.values():
        for at, tally in buckets:
            total[at].add(tally)
    times = sorted(total)
    bars = [
        go.Bar(
            name=name,
            x=[_clock(at) for at in times],
            y=[total[at].failed(side) / total[at].calls if total[at].calls else None for at in times],
            hovertemplate="%{y:.1%}",
        )
        for side, name in SIDES
    ]
    return _figure(bars, (since, until), {"tickformat": ".0%", "rangemode": "tozero"}, barmode="stack")


def _clock(at: datetime) -> str:
    """On the person's own clock, as all times of the page: plotly shows a time as it is written."""
    return timezone.localtime(at).replace(tzinfo=None).isoformat()


def _figure(data: list[Any], window: tuple[datetime, datetime], yaxis: dict[str, Any], **layout: Any) -> dict[str, Any]:
    """Over the whole window, so that a time without calls shows as such."""
    xaxis = {"type": "date", "range": [_clock(moment) for moment in window]}
    figure = go.Figure(data, {"template": PLAIN, "xaxis": xaxis, "yaxis": yaxis, **layout})
    plain: dict[str, Any] = figure.to_dict()
    return plain
