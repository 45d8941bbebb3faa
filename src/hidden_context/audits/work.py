"""How far an audit is: its fits, planned before the first, and the time that the rest will take."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tqdm import tqdm

from hidden_context.progress import A_LINE, in_words, is_terminal

BAR = "{desc} |{bar}| "
A_MOMENT = 0.2
"""Seconds between two looks of the bar within a fit."""
MEASURING = "measuring "
"""Kinds of work that begin so are no fits, but take their time, too."""


def measured(family: str) -> str:
    """The kind of work that measuring is: scalar families have less to measure."""
    return f"{MEASURING}{'a scalar family' if family == 'base' else 'a distribution'}"


def fitted_to_all(family: str) -> str:
    """The kind of work that such a fit is."""
    return f"{MEASURING}how well {family} fits all votes"


FIT = "fit {}"
MEASURE = "measure {}"
LAPSE = "fit base with some answers given without a look"
TIES = "fit base with thresholds for ties"
FIT_TO_DRAWN = "fit {} to answers drawn from the scalar family"
FIT_TO_ALL = "fit every family to all votes, and to answers drawn from the scalar family"
FIT_FOR_CORRECTION = "fit {} to answers drawn from it, for the correction of r²"
FIT_TO_RESAMPLED = "fit {} to resampled data, for the intervals of r²"
FIT_TO_AS_MANY = "fit {} to as many comparisons as the smallest set has"
FIT_LABELLED = "fit {} with who judged, true and shuffled"
"""What stages are called; for {} the name of a family."""


@dataclass(frozen=True)
class Fit:
    """Heads of one family that are fitted at once."""

    family: str
    cost: float
    """In a unit of the family: with it grows the time."""
    by_chosen_steps: bool = False
    """Whether its steps are those that a fit before chose; the cost is of the most."""


@dataclass(frozen=True)
class Stage:
    """Some fits with one purpose."""

    what: str
    fits: tuple[Fit, ...]


@dataclass(eq=False)
class Work:
    """The fits of an audit: which are done, which are left, and what each family's take.

    On a terminal one bar on stderr shows all of it, with the time left; elsewhere a line says what
    each stage is, and every half minute another one the time left. That is known when every family
    has been fitted once: it is the cost of what is left by the seconds of each family's last fit,
    times what everything so far took beside fits and measures. Until a family has been measured,
    it is the least.
    """

    plan: Sequence[Stage] = ()
    shown: bool = False
    clock: Callable[[], float] = time.monotonic
    _left: list[Fit] = field(default_factory=list)
    """Of the stages after this one."""
    _here: list[Fit] = field(default_factory=list)
    """Of this stage."""
    _rate: dict[str, float] = field(default_factory=dict)
    """Seconds a unit of cost, by family."""
    _chosen: dict[str, float] = field(default_factory=dict)
    """By family: steps that were chosen, as a share of the most."""
    _fitting: float = 0.0
    """Seconds in fits."""
    _started: float | None = None
    """When the fit began that is going on."""
    _begun: float = 0.0
    _drawn: float = 0.0
    """When the bar or a line with the time left was."""
    _done: int = 0
    _stages: int = 0
    _what: str = ""
    _set: str = ""
    _bar: "tqdm | None" = None

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """While the fits are made."""
        self._begun = self._drawn = self.clock()
        self._left = [fit for stage in self.plan for fit in stage.fits]
        if self.shown and is_terminal():
            total = len(self._left)
            self._bar = tqdm(total=total, bar_format=BAR, leave=False, dynamic_ncols=True)
        try:
            yield
        finally:
            if self._bar is not None:
                self._bar.close()

    def of_set(self, name: str) -> None:
        """Say which of several data sets the next stages are of."""
        self._set = name

    def stage(self, what: str) -> None:
        """Begin the next stage of this name; what was planned before it and not done is dropped."""
        what = of_set(self._set, what)
        places = [place for place, each in enumerate(self.plan) if each.what == what]
        place = next((each for each in places if each >= self._stages), None)
        if place is None:
            return  # of no plan
        self._stages, self._what, self._here = place + 1, what, list(self.plan[place].fits)
        self._left = [fit for later in self.plan[place + 1 :] for fit in later.fits]
        if self._bar is not None:
            self._show(0.0, 0.0)
        elif self.shown:
            count = f"step {self._stages} of {len(self.plan)}"
            print(f"{count}: {what}", file=sys.stderr, flush=True)

    @contextmanager
    def fit(self, family: str, cost: float, num_steps: int) -> Iterator[Callable[[int], object]]:
        """Make a fit; what is yielded is called with the number of steps that were done."""
        if not self.shown:
            yield lambda steps: None
            return
        started, steps = self.clock(), 0

        def done(more: int) -> None:
            nonlocal steps
            steps += more
            self._show(steps / num_steps, cost, family)

        if self._here:
            del self._here[0]
        self._started = started
        yield done
        seconds, self._started = self.clock() - started, None
        self._fitting += seconds
        self._rate[family] = seconds / cost
        self._done += 1
        self._show(0.0, 0.0)

    def chose(self, family: str, share: float) -> None:
        """Say which share of the most steps was chosen for a family."""
        if self.shown:
            self._chosen[family] = share

    def seconds_left(self, share: float = 0.0, cost: float = 0.0, family: str = "") -> float | None:
        """Of all fits that are planned, if every family was fitted before.

        Args:
            share: Of the fit that is going on, done.
            cost: Of this fit.
            family: Of this fit.
        """
        left = [*self._here, *self._left]
        left += [Fit(family, cost * (1 - share))] if family else []
        known = [fit for fit in left if fit.family in self._rate]
        if not all(fit.family.startswith(MEASURING) for fit in left if fit not in known):
            return None
        in_fits = sum(
            fit.cost
            * self._rate[fit.family]
            * (self._chosen.get(fit.family, 1.0) if fit.by_chosen_steps else 1.0)
            for fit in known
        )
        now = self.clock()
        fitting = self._fitting + (now - self._started if self._started is not None else 0.0)
        return in_fits * max(1.0, (now - self._begun) / fitting if fitting else 1.0)

    @property
    def is_least(self) -> bool:
        """Whether more is left than `seconds_left` says, which nothing was measured of yet."""
        return any(fit.family not in self._rate for fit in [*self._here, *self._left])

    def _show(self, share: float, cost: float, family: str = "") -> None:
        now = self.clock()
        bar = self._bar
        pause = A_LINE if bar is None else A_MOMENT if family else 0.0
        if now - self._drawn < pause:
            return
        self._drawn = now
        left = self.seconds_left(share, cost, family)
        elapsed = f"{tqdm.format_interval(now - self._begun)} so far"
        about = "at least" if self.is_least else "about"
        known = "time left not yet known" if left is None else f"{about} {in_words(left)} left"
        if bar is None:
            print(f"{elapsed}, {known}", file=sys.stderr, flush=True)
            return
        bar.total = self._done + len(self._here) + len(self._left) + (1 if family else 0)
        bar.n = self._done + share
        bar.set_description_str(self._what, refresh=False)
        bar.bar_format = f"{BAR}{elapsed}, {known}"
        bar.refresh()


def of_set(name: str, what: str) -> str:
    """What a stage is called among those of several data sets."""
    return f"{name}: {what}" if name else what


UNSEEN = Work()
"""Of fits that nobody waits for."""
