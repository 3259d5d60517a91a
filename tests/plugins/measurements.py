"""Measurements of broker calls stay in memory until a test asks for them: no thread writes behind a test's back."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def quiet_recorder() -> Iterator[None]:
    from health.recording import recorder

    recorder.flush_after = None
    recorder.forget()
    yield
    recorder.forget()
