"""Forms that make something only once: whoever loads their answer again sends them again."""

from typing import Any, ClassVar, cast
from uuid import uuid4

from django import forms
from django.core.cache import cache
from django.http import QueryDict

from brokerhub.kernel.errors import HubError

SENT_AGAIN_WITHIN = 24 * 3600  # seconds


class OnceForm(forms.Form):
    """`once` goes along with the form; what bears the same a second time is refused in the words of `done_already`."""

    done_already: ClassVar = "This form has done its work already. Send it again to do it once more."

    once = forms.UUIDField(widget=forms.HiddenInput, initial=uuid4)

    def clean(self) -> dict[str, Any]:
        if not self.errors and not cache.add(self._mark, 1, timeout=SENT_AGAIN_WITHIN):
            self.data = cast(QueryDict, self.data).copy()
            self.data["once"] = str(uuid4())
            raise forms.ValidationError(self.done_already)
        return self.cleaned_data

    def refuse(self, error: HubError) -> None:
        """Nothing was made after all: the form may be sent again."""
        cache.delete(self._mark)
        self.add_error(None, str(error))

    @property
    def _mark(self) -> str:
        return f"once:{self.cleaned_data['once']}"
