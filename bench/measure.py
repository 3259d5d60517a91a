"""Ratios of our work to a floor, measured in turns on one machine in the same minutes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from time import perf_counter, process_time

import psutil
from django.db import connection

ROUNDS = 5
Work = Callable[[], float]
_clocks: list[Callable[[], float]] = [perf_counter]


def count_processor_time() -> None:
    """From now on, instead of time: what others compute meanwhile is then no part of it."""
    _clocks[0] = _computed


def _computed() -> float:
    """Seconds that this process and its connection's process at the database have computed."""
    connection.ensure_connection()
    user, system, *_ = psutil.Process(connection.connection.info.backend_pid).cpu_times()
    return process_time() + float(user + system)


def seconds(work: Callable[[], object]) -> float:
    clock = _clocks[0]
    start = clock()
    work()
    return clock() - start


@dataclass(frozen=True, slots=True)
class Ratio:
    """Ours over the floor in time, the median of the rounds. `budget` None: shown for information only."""

    what: str
    floor: str
    ours: tuple[float, ...]
    floors: tuple[float, ...]
    budget: float | None

    @property
    def ratios(self) -> list[float]:
        return sorted(ours / floor for ours, floor in zip(self.ours, self.floors, strict=True))

    def __str__(self) -> str:
        ratio = median(self.ratios)
        verdict = "" if self.budget is None else "met" if ratio <= self.budget else "MISSED"
        budget = "-" if self.budget is None else f"<= {self.budget:g}"
        spread = f"{self.ratios[0]:.2f}-{self.ratios[-1]:.2f}"
        times = f"{median(self.ours) * 1000:9.1f} {median(self.floors) * 1000:9.1f}"
        return f"{self.what:<44} {self.floor:<32} {times} {ratio:7.2f} {spread:>12} {budget:>7} {verdict}"


HEAD = f"{'what':<44} {'floor':<32} {'ours ms':>9} {'floor ms':>9} {'ratio':>7} {'spread':>12} {'budget':>7}"


def in_turns(
    what: str, ours: Work, floors: Mapping[str, tuple[Work, float | None]], rounds: int = ROUNDS
) -> list[Ratio]:
    """`ours` against each floor, ours first in each round. Each work returns the seconds it wants counted.

    One round before the counted ones lets caches and plans settle.
    """
    times: dict[str, list[float]] = {"": [], **{name: [] for name in floors}}
    for counted in range(rounds + 1):
        for name, work in {"": ours, **{name: floor for name, (floor, _) in floors.items()}}.items():
            taken = work()
            if counted:
                times[name].append(taken)
    mine = tuple(times[""])
    return [Ratio(what, name, mine, tuple(times[name]), budget) for name, (_, budget) in floors.items()]


def stolen() -> float:
    """Seconds this machine wanted to compute and was not let, since it started; 0 where it is not told."""
    return float(getattr(psutil.cpu_times(), "steal", 0.0))
