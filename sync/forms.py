"""What a person says about a file they import."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db.models import TextChoices

from connections.models import Account
from sync import file_words, importers
from sync.columns import FIELD_CHOICES, MEANING_CHOICES
from sync.drafts import KNOWN, NEW
from sync.import_models import ImportDraft
from sync.importers.dates import DAY_FIRST, MONTH_FIRST, YEAR_FIRST
from sync.importers.mapping import ColumnMapping, MappingRefused
from sync.importers.numbers import COMMA, POINT
from sync.importers.reading import MAX_WORD
from sync.importers.words import fold
from sync.imports import importable_accounts
from sync.reading import MAPPED

MOST_ACCOUNTS = 50  # of one file


TOO_LARGE = "The file is larger than 20 MB. Export a shorter period, import it in parts."

EMPTY = "The file is empty. Export it again at your broker, and upload that."


class UploadForm(forms.Form):
    file = forms.FileField(
        label="File",
        error_messages={"empty": EMPTY},
        help_text="As your broker exported it: CSV, OFX, QFX or Flex XML, up to 20 MB. Do not save it again in a "
        "spreadsheet first.",
        widget=forms.ClearableFileInput(
            attrs={
                "accept": ".csv,.txt,.ofx,.qfx,.xml,text/csv",
                "data-most": settings.UPLOAD_MAX_BYTES,
                "data-too-large": TOO_LARGE,
            }
        ),
    )

    def clean_file(self) -> "UploadedFile[bytes]":
        file: UploadedFile[bytes] = self.cleaned_data["file"]
        if (file.size or 0) > settings.UPLOAD_MAX_BYTES:
            raise forms.ValidationError(TOO_LARGE)
        return file


class AccountChoice(forms.ModelChoiceField):  # type: ignore[type-arg]  # not subscriptable at run time
    def label_from_instance(self, account: Any) -> str:
        return f"{account} ({account.connection.label})"


class SetupForm(forms.Form):
    """The kind of file, answers to what it leaves open, and an account for each name the file has."""

    format = forms.ChoiceField(label="Kind of file")

    def __init__(self, *args: Any, draft: ImportDraft, likely: list[str], **options: Any) -> None:
        super().__init__(*args, **options)
        self.draft, self.questions = draft, draft.found.get("questions", [])
        self.hints: list[str] = draft.found.get("hints", [])[:MOST_ACCOUNTS]
        self.fields["format"].choices = _formats(likely)  # type: ignore[attr-defined]
        self.fields["format"].initial = draft.format
        for question in self.questions:
            self.fields[question["about"]] = _answer(question)
        accounts = importable_accounts(draft.user)
        for number, hint in enumerate(self.hints):
            self._ask_account(number, hint, AccountChoice(queryset=accounts, required=False))

    def _ask_account(self, number: int, hint: str, choice: AccountChoice) -> None:
        place = self.draft.accounts.get(hint, {})
        proposed = place.get(KNOWN) or (None if place else self.draft.found.get("proposals", {}).get(hint))
        choice.label = f"Account for the rows of {hint}" if hint else "Account"
        choice.empty_label = "A new account, kept by file"
        choice.help_text = "" if hint else "The account the file was exported from."
        choice.initial = proposed
        format = importers.FORMATS.get(self.draft.format)
        self.fields[f"account_{number}"] = choice
        self.fields[f"name_{number}"] = forms.CharField(
            max_length=120,
            required=False,
            label="Name of the new account",
            help_text="Only for a new account.",
            initial=place.get(NEW) or hint[:120] or (format.institution if format else ""),
        )

    @property
    def is_other_format(self) -> bool:
        return bool(self.cleaned_data.get("format") != self.draft.format)

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if self.is_other_format:  # what was asked belongs to the other reading
            for name in [name for name in self.errors if name != "format"]:
                del self.errors[name]
            return values
        for number in range(len(self.hints)):
            name = f"name_{number}"
            values[name] = values.get(name, "").strip()
            if f"account_{number}" in values and not values[f"account_{number}"] and not values[name]:
                self.add_error(name, "Give the new account a name, or choose one of your accounts.")
        return values

    @property
    def accounts(self) -> dict[str, dict[str, Any]]:
        """As a draft keeps them."""
        if self.is_other_format:
            return {}
        chosen: dict[str, dict[str, Any]] = {}
        for number, hint in enumerate(self.hints):
            account: Account | None = self.cleaned_data[f"account_{number}"]
            chosen[hint] = {KNOWN: account.pk} if account else {NEW: self.cleaned_data[f"name_{number}"]}
        return chosen

    @property
    def choices(self) -> dict[str, str]:
        if self.is_other_format:
            return {}
        answers = {question["about"]: self.cleaned_data[question["about"]] for question in self.questions}
        return {**self.draft.choices, **answers}


def _formats(likely: list[str]) -> list[Any]:
    labels = {key: format.label for key, format in importers.FORMATS.items()}
    others = sorted(((key, label) for key, label in labels.items() if key not in likely), key=lambda pair: pair[1])
    recognised = [("Recognised", [(key, labels[key]) for key in likely])] if likely else [("", "Choose")]
    return [*recognised, ("By hand", [(MAPPED, "A table whose columns I name")]), ("Other formats", others)]


def _answer(question: Mapping[str, Any]) -> forms.ChoiceField:
    examples, options = ", ".join(question["examples"]), [tuple(option) for option in question["options"]]
    is_short = len(options) < 5
    return forms.ChoiceField(
        label=question["question"],
        choices=options if is_short else [("", "Choose"), *options],
        widget=forms.RadioSelect if is_short else forms.Select,
        help_text=f"It cannot be told from {examples}." if examples else "",
    )


class Order(TextChoices):
    TOLD = "", "As the file shows, or ask me"
    MONTH = MONTH_FIRST, "Month, day, year: 12/31/2025"
    DAY = DAY_FIRST, "Day, month, year: 31/12/2025"
    YEAR = YEAR_FIRST, "Year, month, day: 2025-12-31"


class ColumnsForm(forms.Form):
    """A field for each column of the file, and how the file writes dates and amounts."""

    date_order = forms.ChoiceField(label="Dates", choices=Order.choices, required=False)
    decimal = forms.ChoiceField(
        label="Decimals",
        choices=[("", "As the file shows, or ask me"), (POINT, "A point: 1,234.56"), (COMMA, "A comma: 1.234,56")],
        required=False,
    )
    currency = forms.RegexField(
        r"^[A-Za-z]{3}$",
        label="Currency of rows that name none",
        required=False,
        help_text="Like EUR. Leave it empty to be asked.",
        error_messages={"invalid": "A currency has three letters, like EUR."},
    )
    amounts = forms.ChoiceField(
        label="Amounts",
        choices=[("signed", "Have a sign: what leaves the account has a minus"), ("bare", "Have no sign")],
        widget=forms.RadioSelect,
        initial="signed",
    )
    fees_on_top = forms.BooleanField(label="Fees and taxes come on top of the amount", required=False)

    def __init__(self, *args: Any, header: list[str], guesses: Mapping[str, str], **options: Any) -> None:
        super().__init__(*args, **options)
        self.header = header
        for number, column in enumerate(header):
            self.fields[f"column_{number}"] = forms.ChoiceField(
                label=column or f"Column {number + 1}",
                choices=FIELD_CHOICES,
                required=False,
                initial=guesses.get(column, ""),
            )

    def columns(self) -> list[Any]:
        """The bound fields of the columns, in their order."""
        return [self[f"column_{number}"] for number in range(len(self.header))]

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                ColumnMapping.from_dict(self.mapping({}))
            except MappingRefused as error:
                self.add_error(None, str(error))
        return values

    def mapping(self, words: Mapping[str, str]) -> dict[str, Any]:
        values = self.cleaned_data
        columns: dict[str, list[str]] = {}
        for number, column in enumerate(self.header):
            if values.get(f"column_{number}") and column:
                columns.setdefault(values[f"column_{number}"], []).append(column)
        return {
            "columns": columns,
            "words": dict(words),
            "date_order": values["date_order"],
            "decimal": values["decimal"],
            "currency": values["currency"].upper(),
            "signed": values["amounts"] == "signed",
            "fees_on_top": values["fees_on_top"],
        }


class WordsForm(forms.Form):
    """What the words of a mapped file mean."""

    def __init__(self, *args: Any, words: Mapping[str, int], meanings: Mapping[str, str], **options: Any) -> None:
        super().__init__(*args, **options)
        self.words = list(words)
        for number, (word, times) in enumerate(words.items()):
            self.fields[f"word_{number}"] = forms.ChoiceField(
                label=f"“{word}”",
                choices=MEANING_CHOICES,
                required=False,
                initial=meanings.get(word, ""),
                help_text=f"{times} row{'' if times == 1 else 's'}",
            )

    @property
    def meanings(self) -> dict[str, str]:
        chosen = ((word, self.cleaned_data[f"word_{number}"]) for number, word in enumerate(self.words))
        return {word: meaning for word, meaning in chosen if meaning}


class WordForm(forms.Form):
    """What a word means in all files of a house. Where words are prose, the person says how it begins."""

    word = forms.CharField(max_length=MAX_WORD, required=False)
    kind = forms.ChoiceField(choices=[(kind.value, kind.label) for kind in file_words.KINDS])

    def __init__(self, *args: Any, said: str, is_prose: bool, **options: Any) -> None:
        super().__init__(*args, **options)
        self.said, self.is_prose = said, is_prose

    def clean_word(self) -> str:
        """The word of the row, or in prose its chosen beginning."""
        wanted = " ".join(self.cleaned_data["word"].split())
        if not self.is_prose or not wanted:
            return self.said
        if not fold(self.said).startswith(fold(wanted)):
            raise forms.ValidationError(f"The row does not begin with “{wanted[:60]}”.")
        return wanted
