"""What the long tests share."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import pytest


@pytest.fixture
def measured(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> Callable[[str | Callable[[], str]], AbstractContextManager[None]]:
    """In `make endurance`, `with measured("1,000 rounds"):` says how long the block took. No test needs the figure.

    What is known only afterwards is a function.
    """
    is_long = request.node.get_closest_marker("endurance") is not None

    @contextmanager
    def measure(what: str | Callable[[], str]) -> Iterator[None]:
        started = time.perf_counter()
        yield
        with nullcontext() if not is_long else capsys.disabled():
            print(f"\n  {what if isinstance(what, str) else what()}: {time.perf_counter() - started:.1f} s")

    return measure
