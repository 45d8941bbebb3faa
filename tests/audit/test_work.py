"""How far an audit is: what is left is what was planned, and the time left follows from rates."""

import io
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest

from hidden_context.audits import audit as audit_module
from hidden_context.audits import crossfit, group_heads, planned_stages
from hidden_context.audits.work import FIT, UNSEEN, Fit, Stage, Work, measured
from hidden_context.comparisons.comparisons import Comparisons

WORDS = ("bread", "flour", "water", "salt", "yeast", "dough")
SIZES = (("larger", 72), ("smaller", 48))
"""Comparisons of two sets."""


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def small_work(clock: Clock) -> Work:
    """Two families, once each, then both again; a unit takes 2 s and 10 s."""
    plan = [
        Stage("fit base", (Fit("base", 3.0),)),
        Stage("fit categorical", (Fit("categorical", 4.0),)),
        Stage("fit base again", (Fit("base", 3.0), Fit("base", 1.0))),
        Stage("fit categorical again", (Fit("categorical", 2.0, by_chosen_steps=True),)),
    ]
    return Work(plan, shown=True, clock=clock)


def make(work: Work, clock: Clock, family: str, cost: float, seconds: float) -> None:
    with work.fit(family, cost, 10) as done:
        clock.now += seconds / 2
        done(5)
        clock.now += seconds / 2
        done(5)


def test_the_time_left_is_known_when_every_family_was_fitted_and_is_then_exact(capsys):
    clock = Clock()
    work = small_work(clock)
    with work.going_on():
        work.stage("fit base")
        assert work.seconds_left() is None
        make(work, clock, "base", 3.0, 6.0)
        assert work.seconds_left() is None
        work.stage("fit categorical")
        make(work, clock, "categorical", 4.0, 40.0)
        assert work.seconds_left() == pytest.approx(3 * 2 + 1 * 2 + 2 * 10)
        work.chose("categorical", 0.25)
        assert work.seconds_left() == pytest.approx(3 * 2 + 1 * 2 + 2 * 10 * 0.25)
        work.stage("fit base again")
        make(work, clock, "base", 3.0, 6.0)
        assert work.seconds_left() == pytest.approx(1 * 2 + 2 * 10 * 0.25)
        assert work.seconds_left(0.5, 1.0, "base") == pytest.approx(0.5 * 2 + 1 * 2 + 5)
        work.stage("fit categorical again")  # one fit of base was not needed
        assert work.seconds_left() == pytest.approx(5)
        make(work, clock, "categorical", 0.5, 5.0)
        assert work.seconds_left() == pytest.approx(0)
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "step 1 of 4: fit base"
    assert said[-1] == "step 4 of 4: fit categorical again"


def test_work_beside_the_fits_is_in_the_time_left():
    """A third of the time so far was no fit: the rest will take half as long again as its fits."""
    clock = Clock()
    work = Work([Stage("a", (Fit("base", 1.0),)), Stage("b", (Fit("base", 2.0),))], True, clock)
    with work.going_on():
        work.stage("a")
        make(work, clock, "base", 1.0, 10.0)
        clock.now += 5.0
        assert work.seconds_left() == pytest.approx(20 * 1.5)
        work.stage("b")
        with work.fit("base", 2.0, 2) as done:
            clock.now += 20.0  # is in the fit that goes on, and not beside
            done(1)
            assert work.seconds_left(0.5, 2.0, "base") == pytest.approx(10 * 35 / 30)


def test_until_a_family_is_measured_the_time_left_is_the_least_that_it_can_be():
    clock = Clock()
    kind = measured("mean_and_variance")
    plan = [Stage("fit", (Fit("base", 1.0),)), Stage("measure", (Fit(kind, 1.0), Fit(kind, 1.0)))]
    work = Work(plan, True, clock)
    with work.going_on():
        work.stage("fit")
        make(work, clock, "base", 1.0, 10.0)
        work.stage("measure")
        assert (work.seconds_left(), work.is_least) == (0, True)
        make(work, clock, kind, 1.0, 7.0)
        assert (work.seconds_left(), work.is_least) == (pytest.approx(7.0), False)
    assert measured("base") != kind


def test_what_is_of_no_plan_changes_nothing_and_what_nobody_sees_counts_nothing(capsys):
    work = small_work(Clock())
    with work.going_on():
        work.stage("something else")
        assert work.seconds_left() is None
    with UNSEEN.fit("base", 1.0, 1) as done:
        done(1)
    assert UNSEEN.seconds_left() == 0
    assert capsys.readouterr().err == ""


def test_where_there_is_no_terminal_every_half_minute_has_a_line(capsys):
    clock = Clock()
    work = Work([Stage("a", tuple(Fit("base", 1.0) for _ in range(4)))], True, clock)
    with work.going_on():
        work.stage("a")
        for _ in range(4):
            make(work, clock, "base", 1.0, 16.0)
    assert capsys.readouterr().err.splitlines() == [
        "step 1 of 1: a",
        "00:32 so far, about 30 s left",
        "01:04 so far, about 5 s left",
    ]


def test_sets_of_the_same_stages_are_told_apart(capsys):
    stages = [Stage(f"{name}: fit base", (Fit("base", 1.0),)) for name in ("a", "b")]
    work = Work(stages, shown=True)
    with work.going_on():
        for name in ("a", "b"):
            work.of_set(name)
            work.stage(FIT.format("base"))
    assert capsys.readouterr().err == "step 1 of 2: a: fit base\nstep 2 of 2: b: fit base\n"


def test_a_terminal_is_shown_one_bar_with_the_time_left(monkeypatch: pytest.MonkeyPatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    clock, screen = Clock(), Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    work = small_work(clock)
    with work.going_on():
        work.stage("fit base")
        make(work, clock, "base", 3.0, 6.0)
        work.stage("fit categorical")
        make(work, clock, "categorical", 4.0, 40.0)
    shown = screen.getvalue().split("\r")
    assert any("fit base" in line and "time left not yet known" in line for line in shown)
    assert any(
        "fit categorical" in line and "00:46 so far, about 30 s left" in line for line in shown
    )


@dataclass(eq=False)
class Recorded(Work):
    """Work that keeps what was done, by stage."""

    done: list[tuple[str, list[Fit]]] = field(default_factory=list)

    def stage(self, what: str) -> None:
        super().stage(what)
        self.done.append((self._what, []))

    @contextmanager
    def fit(self, family: str, cost: float, num_steps: int) -> Iterator[Callable[[int], object]]:
        self.done[-1][1].append(Fit(family, cost))
        with super().fit(family, cost, num_steps) as done:
            yield done


def rows_of(name: str, count: int) -> list[dict[str, object]]:
    """Votes of two groups that differ, with ties."""
    rng = np.random.default_rng(0)
    rows: list[dict[str, object]] = []
    for number in range(count):
        texts = [f"{' '.join(rng.choice(WORDS, 5))} {name}" for _ in range(2)]
        verdict = "tie" if number % 7 == 0 else "ab"[int(rng.integers(2))]
        row = {"prompt": f"{number // 2}?", "response_a": texts[0], "response_b": texts[1]}
        rows.append({**row, "winner": verdict, "group": "gh"[number % 2], "annotator": number % 10})
    return rows


def test_the_fits_of_an_audit_are_those_that_were_planned(monkeypatch: pytest.MonkeyPatch, capsys):
    """Of two sets, the larger one also at the size of the smaller; with ties, groups and draws."""
    made: list[Recorded] = []

    def recorded(plan: Sequence[Stage], shown: bool) -> Recorded:
        made.append(Recorded(plan, shown))
        return made[-1]

    monkeypatch.setattr(audit_module, "Work", recorded)
    monkeypatch.setattr(crossfit, "checkpoints_for", lambda _: [5, 10])  # for time alone
    for module in (group_heads, planned_stages):
        monkeypatch.setattr(module, "NUM_SHUFFLINGS", 2)
    sets = {name: Comparisons.from_rows(rows_of(name, count), name) for name, count in SIZES}
    audit_module.audit(
        sets,
        families=("mean_and_variance",),
        num_folds=3,
        num_seeds=1,
        ties="half",
        progress=True,
    )
    (work,) = made
    assert [what for what, _ in work.done] == [stage.what for stage in work.plan]
    for (_, done), stage in zip(work.done, work.plan, strict=True):
        assert [fit.family for fit in done] == [fit.family for fit in stage.fits]
        for fit, planned in zip(done, stage.fits, strict=True):
            if planned.by_chosen_steps:
                assert 0 < fit.cost <= planned.cost
            else:
                assert fit.cost == pytest.approx(planned.cost)
    assert work.seconds_left() == 0
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith(f"step {len(work.plan)} of {len(work.plan)}: ")
