"""What a person writes about a broker, and what a reader reports."""

from typing import Any

from django import forms

from comparison.rating_models import ASPECTS, LONGEST_TEXT
from comparison.ratings import Opinion

WORDS = {5: "very good", 4: "good", 3: "middling", 2: "poor", 1: "very poor"}
STARS = [(stars, f"{stars}, {word}") for stars, word in WORDS.items()]
LABELS = {
    "fees": "Fees",
    "platform": "Site and app",
    "support": "Support",
    "reliability": "Reliability",
    "sync": "Connection to this hub",
}


def _stars(label: str) -> forms.TypedChoiceField:
    choices = [("", "No answer"), *STARS]
    return forms.TypedChoiceField(label=label, choices=choices, coerce=int, empty_value=None, required=False)


class OpinionForm(forms.Form):
    overall = forms.TypedChoiceField(label="Overall", choices=[("", "Choose"), *STARS], coerce=int, empty_value=None)
    fees = _stars(LABELS["fees"])
    platform = _stars(LABELS["platform"])
    support = _stars(LABELS["support"])
    reliability = _stars(LABELS["reliability"])
    sync = _stars(LABELS["sync"])
    text = forms.CharField(
        label="What others should know",
        max_length=LONGEST_TEXT,
        required=False,
        widget=forms.Textarea(attrs={"rows": 5}),
        help_text="Plain text, up to 2,000 characters. No links, no account numbers.",
    )
    shows_name = forms.BooleanField(label="Show my name beside it", required=False)
    is_independent = forms.BooleanField(label="I do not work for this broker and was not paid for this rating")

    def opinion(self) -> Opinion:
        said: dict[str, Any] = dict(self.cleaned_data)
        said.pop("is_independent")
        return Opinion(**said)


class ReportForm(forms.Form):
    reason = forms.CharField(
        label="What is wrong with it",
        max_length=300,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Insults, advertising, private data, a rating by the broker itself. Another opinion is no reason.",
    )


RATED = ("overall", *ASPECTS)
