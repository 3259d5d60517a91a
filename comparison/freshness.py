"""How old a fact may be before it carries the badge "stale", and the worst badge of a sum. Pure."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from comparison.price_words import first_day
from comparison.terms import Confidence, Rates, Rule

# Days, by the kind of fact. Source: comparison method, section 2.
LIVES = {
    "margin": 45,
    "cash": 30,
    "regulatory": 90,
    "commission": 180,
    "account": 365,
    "feature": 365,
    "execution": 120,
    "rating": 90,
}
POLICY_RATE = "FED_FUNDS_UPPER"
REGULATORY = {"option_clearing", "orf_blended", "orf_occ_blended", "occ_pass_through", "activity_assessment"}
REGULATORY |= {"sell_transaction_fee", "clearing_nscc_dtc", "pass_through_nyse", "pass_through_finra", "occ_clearing"}
REGULATORY |= {"sec_section_31", "finra_taf_equity", "finra_taf_option", "cat_equity", "cat_option", "orf_venue"}
REGULATORY |= {"orf_estimate"}
ACCOUNT = {"acats_out_full", "acats_out_partial", "wire_out_domestic", "wire_out_international", "ach_withdrawal"}
ACCOUNT |= {"check_withdrawal", "account_inactivity", "annual_account_fee", "subscription", "ira_closeout"}
ACCOUNT |= {"instant_withdrawal", "paper_statement", "ach_return", "adr_custody"}
RANK = [Confidence.CHECKED, Confidence.REPORTED, Confidence.NOT_VERIFIED, Confidence.UNKNOWN]


def kind_of(item: str) -> str:
    if item.startswith("margin_interest"):
        return "margin"
    if item == "cash_interest":
        return "cash"
    if item in REGULATORY:
        return "regulatory"
    return "account" if item in ACCOUNT else "commission"


def policy_changes(rates: Rates) -> tuple[date, ...]:
    """The days on which the policy rate moved."""
    return tuple(value.on for value in rates.benchmarks.get(POLICY_RATE, ()))


def why_stale(as_of: str, kind: str, today: date, policy: Sequence[date] = ()) -> str:
    """Why the fact is stale, in words; "" when it is fresh. A month or a year counts from its first day.

    Rates on margin and cash are stale, too, when the policy rate moved between their date and today.
    """
    read_on = first_day(as_of)
    if read_on is None:
        return f"the source is undated ({as_of})" if as_of else "the source is undated"
    if today - read_on > timedelta(days=LIVES[kind]):
        return f"read {as_of}, more than {LIVES[kind]} days ago"
    if kind in ("margin", "cash"):
        for moved in policy:
            if read_on < moved <= today:
                return f"read {as_of}, before the policy rate moved on {moved.isoformat()}"
    return ""


def rule_is_stale(rule: Rule, today: date, policy: Sequence[date] = ()) -> str:
    if rule.model is None and rule.reason:
        return ""  # unknown, or not offered: there is nothing to grow old
    return why_stale(rule.as_of, kind_of(rule.item), today, policy)


def worst(confidences: Iterable[Confidence]) -> Confidence:
    """The badge of a sum: that of its weakest part."""
    return max(confidences, key=RANK.index, default=Confidence.CHECKED)
