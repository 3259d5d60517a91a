"""The comparison for programs: the same matrices and results as the pages, as plain values. Pure but for sources."""

from typing import Any

from comparison import features, hub_use, wording
from comparison.catalogue_models import FeeRule
from comparison.matrix import Cell, Group
from comparison.running import money
from comparison.stored import Catalogue
from comparison.terms import PlanTerms, Rule, SourceRef


def source(found: SourceRef | None) -> dict[str, str] | None:
    return None if found is None else {"key": found.key, "title": found.title, "url": found.url}


def plan(found: PlanTerms) -> dict[str, Any]:
    return {
        "plan": found.ref,
        "title": found.title,
        "broker": found.broker,
        "broker_name": found.broker_name,
        "is_integrated": found.is_integrated,
        "eligibility": found.eligibility,
        "this_hub_reads": hub_use.ways_in(found.broker),
    }


def cell(found: Cell, ref: str) -> dict[str, Any]:
    return {
        "plan": ref,
        "text": found.text,
        "low": money(found.amount.low) if found.amount else None,
        "high": money(found.amount.high) if found.amount else None,
        "not_included": list(found.missing),
        "formula": list(found.formula),
        "badge": found.badge.text,
        "badge_reason": found.badge.why,
        "is_best": found.is_best,
        "sources": [{"title": title, "url": url, "as_of": as_of} for title, url, as_of in found.sources],
    }


def fee_matrix(groups: list[Group], refs: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "group": group.label,
            "item": row.item.key,
            "label": row.item.label,
            "unit": row.item.unit,
            "cells": [cell(one, ref) for one, ref in zip(row.cells, refs, strict=True)],
        }
        for group in groups
        for row in group.rows
    ]


def feature_matrix(sections: list[features.Section], refs: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "feature": line.definition.key,
            "label": line.definition.label,
            "group": section.label,
            "cells": [
                {
                    "plan": ref,
                    "value": mark.answer.value,
                    "text": mark.text,
                    "detail": mark.answer.detail,
                    "reason": mark.answer.reason,
                    "badge": mark.badge.text,
                    "this_hub": mark.this_hub,
                    "as_of": mark.answer.as_of,
                    "confidence": mark.answer.confidence.value,
                    "source": source(mark.answer.source),
                }
                for mark, ref in zip(line.marks, refs, strict=True)
            ],
        }
        for section in sections
        for line in section.rows
    ]


def rule(found: FeeRule, terms: Rule, stale: str) -> dict[str, Any]:
    return {
        "item": found.item,
        "label": wording.label_of(found.item),
        "plan": found.plan.key if found.plan else None,
        "model": found.model or None,
        "text": wording.headline(terms),
        "parameters": found.parameters,
        "mode": found.mode,
        "condition": found.condition,
        "notes": found.notes,
        "reason": found.reason,
        "valid_from": found.valid_from.isoformat() if found.valid_from else None,
        "valid_to": found.valid_to.isoformat() if found.valid_to else None,
        "as_of": found.as_of,
        "confidence": found.confidence,
        "stale": stale,
        "currency": "USD",
        "source": source(terms.source),
    }


def regulatory(catalogue: Catalogue) -> list[dict[str, Any]]:
    """Every dated regulatory rate, the history included."""
    return [
        {
            "fee": row.fee,
            "label": row.label,
            "text": wording.dated(row),
            "model": row.model,
            "rate": None if row.rate is None else money(row.rate),
            "low": None if row.low is None else money(row.low),
            "high": None if row.high is None else money(row.high),
            "max_per_trade": None if row.maximum is None else money(row.maximum),
            "side": row.side,
            "effective_from": row.first.isoformat() if row.first else None,
            "effective_to": row.last.isoformat() if row.last else None,
            "as_of": row.rule.as_of,
            "confidence": row.rule.confidence.value,
            "source": source(row.rule.source),
        }
        for rows in catalogue.rates.regulatory.values()
        for row in rows
    ]
