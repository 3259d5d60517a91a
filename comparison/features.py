"""The feature matrix: yes, limited, no or unknown for each plan, and which plans meet what a person needs.

Pure, but for what this hub does there itself.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from comparison import freshness, hub_use
from comparison.matrix import Badge
from comparison.stored import Answer, Catalogue, Definition
from comparison.terms import Confidence

GROUP_LABELS = {
    "assets": "What can be traded",
    "accounts": "Kinds of account",
    "trading": "Trading",
    "international": "Abroad",
    "cash": "Cash and income",
    "platform": "Platform and service",
    "hub": "Access for programs",
    "safety": "Safety",
    "execution": "Conflicts of interest",
}
UNKNOWN = Answer(None, "", None, "", Confidence.UNKNOWN, "not found in a stored source")
ICONS = {
    "yes": "check",
    "limited": "minus",
    "no": "x-mark",
    "unknown": "question-mark-circle",
    "drawback": "exclamation-triangle",
    "plain": "minus",
}


@dataclass(frozen=True, slots=True)
class Mark:
    """An answer as people read it: a word beside an icon, never colour alone."""

    kind: str  # yes, limited, no, unknown; drawback or plain where yes is the worse answer
    text: str
    answer: Answer
    badge: Badge
    this_hub: str = ""  # what of it this hub uses at the broker

    @property
    def icon(self) -> str:
        return ICONS[self.kind]


@dataclass(frozen=True, slots=True)
class Line:
    definition: Definition
    marks: tuple[Mark, ...]

    @property
    def label(self) -> str:
        return self.definition.label

    @property
    def unit(self) -> str:
        return "yes is the worse answer" if self.definition.is_drawback else self.definition.hint

    @property
    def cells(self) -> tuple[Mark, ...]:
        return self.marks

    @property
    def differs(self) -> bool:
        return len({(mark.text, mark.this_hub) for mark in self.marks}) > 1


@dataclass(frozen=True, slots=True)
class Section:
    label: str
    rows: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Fit:
    """How a plan stands to what is needed. `misses` exclude it; `open` is not confirmed, which never excludes."""

    ref: str
    misses: tuple[str, ...]
    open: tuple[str, ...]

    @property
    def is_excluded(self) -> bool:
        return bool(self.misses)


def share(definition: Definition, value: Any) -> Decimal | None:
    """How far the answer meets the wish: 1 yes, 0 no, between for limited ones; None unknown."""
    if value is None:
        return None
    if definition.kind == "bool":
        good = not value if definition.is_drawback else bool(value)
        return Decimal(good)
    if definition.kind == "enum":
        return Decimal(definition.words.index(value)) / (len(definition.words) - 1)
    return Decimal(Decimal(value) > 0)


def kind_of(definition: Definition, value: Any) -> str:
    if value is None:
        return "unknown"
    if definition.is_drawback:
        return "drawback" if value else "plain"
    if definition.kind == "bool":
        return "yes" if value else "no"
    found = share(definition, value)
    return "no" if not found else "yes" if found == 1 else "limited"


def text_of(definition: Definition, value: Any) -> str:
    if value is None:
        return "Unknown"
    if definition.kind == "bool":
        return "Yes" if value else "No"
    if definition.key == "ira_match_pct":
        return f"{value}%"
    return str(value).capitalize()


def mark(catalogue: Catalogue, ref: str, definition: Definition, today: date) -> Mark:
    answer = catalogue.answers.get((ref, definition.key), UNKNOWN)
    if answer.value is None:
        badge = Badge("quiet", "", answer.reason)  # the mark itself says unknown
    elif stale := freshness.why_stale(answer.as_of, "feature", today):
        badge = Badge("warn", f"Stale, {answer.confidence.label.lower()}", stale)
    else:
        tone = {"checked": "good", "reported": "plain"}.get(answer.confidence, "quiet")
        badge = Badge(tone, answer.confidence.label, f"As of {answer.as_of}")
    this_hub = hub_use.of(ref.partition(":")[0], definition.key) if definition.group == "hub" else ""
    return Mark(kind_of(definition, answer.value), text_of(definition, answer.value), answer, badge, this_hub)


def matrix(catalogue: Catalogue, refs: list[str], today: date, differences_only: bool = False) -> list[Section]:
    groups: dict[str, list[Line]] = {}
    for definition in catalogue.definitions:
        line = Line(definition, tuple(mark(catalogue, ref, definition, today) for ref in refs))
        if line.differs or not differences_only:
            groups.setdefault(definition.group, []).append(line)
    return [Section(GROUP_LABELS.get(group, group.capitalize()), tuple(lines)) for group, lines in groups.items()]


def unknown_count(catalogue: Catalogue, ref: str) -> int:
    return sum(catalogue.answers.get((ref, d.key), UNKNOWN).value is None for d in catalogue.definitions)


def fits(catalogue: Catalogue, refs: Iterable[str], needs: Collection[str]) -> list[Fit]:
    """Each plan with what it is known to lack and what nobody confirmed. Only a known no excludes."""
    wanted = [definition for definition in catalogue.definitions if definition.key in needs]
    found = []
    for ref in refs:
        misses, open_ = [], []
        for definition in wanted:
            met = share(definition, catalogue.answers.get((ref, definition.key), UNKNOWN).value)
            if met is None:
                open_.append(definition.label)
            elif not met:
                misses.append(definition.label)
        found.append(Fit(ref, tuple(misses), tuple(open_)))
    return found


def score(catalogue: Catalogue, ref: str, wishes: Collection[str]) -> Decimal | None:
    """The share (0..100) of the wishes that a plan meets, over those that are known; None when none is."""
    shares = [
        met
        for definition in catalogue.definitions
        if definition.key in wishes
        and (met := share(definition, catalogue.answers.get((ref, definition.key), UNKNOWN).value)) is not None
    ]
    return sum(shares, Decimal(0)) * 100 / len(shares) if shares else None
