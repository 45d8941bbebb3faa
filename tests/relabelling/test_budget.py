"""A budget is never exceeded, whatever is under way; turns are evenly spaced."""

import threading
import time
from typing import Any

import pytest

from hidden_context.errors import UserError
from hidden_context.relabelling.budget import Budget, Purse
from hidden_context.relabelling.pace import Pace

MOST = (90, 10)


def test_requests_are_counted_when_they_are_sent():
    purse = Purse(Budget(requests=2))
    assert purse.lay_aside(MOST)
    assert purse.lay_aside(MOST)
    assert not purse.lay_aside(MOST)
    assert purse.exhausted == "requests: 2 of 2"
    purse.settle(MOST, (50, 1))
    assert not purse.lay_aside(MOST)
    assert (purse.spent.requests, purse.spent.prompt_tokens, purse.spent.answer_tokens) == (
        2,
        50,
        1,
    )


def test_a_request_that_was_not_sent_costs_nothing():
    purse = Purse(Budget(requests=1, tokens=100))
    assert purse.lay_aside(MOST)
    purse.put_back(MOST)
    assert purse.lay_aside(MOST)
    assert purse.spent.requests == 1


def test_what_is_under_way_is_laid_aside_and_waited_for():
    """Of 150 tokens 100 are laid aside: a second of 100 waits until the first has cost 20."""
    purse = Purse(Budget(tokens=150))
    assert purse.lay_aside(MOST)
    seen: list[bool] = []
    waiting = threading.Thread(target=lambda: seen.append(purse.lay_aside(MOST)))
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    purse.settle(MOST, (19, 1))
    waiting.join(5)
    assert seen == [True]
    purse.settle(MOST, None)  # not told: the most that it can be
    assert purse.spent.uncounted == 1
    assert purse.spent.prompt_tokens == 109
    assert not purse.lay_aside(MOST)
    assert purse.exhausted == "tokens: 120 of 150, and the next may have 100"


def test_costs_follow_from_the_prices():
    purse = Purse(Budget(cost=0.001, prompt_price=2.0, answer_price=8.0))
    assert purse.lay_aside((200, 50))  # at most .0008
    purse.settle((200, 50), (200, 50))
    assert purse.cost == pytest.approx(0.0008)
    assert not purse.lay_aside((200, 50))
    assert purse.exhausted == "cost: 0.0008 of 0.001, and the next may be 0.0008"
    assert purse.lay_aside((50, 10))  # but a shorter one may
    assert Purse(Budget()).cost is None


def test_odd_budgets_are_refused():
    odd: list[dict[str, Any]] = [
        {"cost": 1.0},
        {"prompt_price": 1.0},
        {"cost": 1.0, "answer_price": 1.0},
    ]
    for wrong in odd:
        with pytest.raises(UserError, match="prompt_price and answer_price"):
            Budget(**wrong)
    for name in ("requests", "tokens", "cost"):
        with pytest.raises(UserError, match=f"budget: {name} is -1"):
            Budget(**{name: -1, "prompt_price": 1.0, "answer_price": 1.0})  # pyrefly: ignore
    with pytest.raises(UserError, match="cost is nan"):
        Budget(cost=float("nan"), prompt_price=1.0, answer_price=1.0)
    assert not Purse(Budget(requests=0)).lay_aside(MOST)


def test_turns_of_several_threads_are_evenly_spaced():
    pace, stop, times = Pace(3000), threading.Event(), []  # every 20 milliseconds

    def take() -> None:
        for _ in range(5):
            assert pace.wait(stop)
            times.append(time.monotonic())

    threads = [threading.Thread(target=take) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times.sort()
    assert times[-1] - times[0] >= 14 * 0.02 - 0.005


def test_a_pause_holds_for_all_and_ends_when_the_run_does():
    pace, stop = Pace(), threading.Event()
    pace.hold(0.05)
    start = time.monotonic()
    assert pace.wait(stop)
    assert time.monotonic() - start >= 0.049
    pace.hold(60)
    threading.Timer(0.02, stop.set).start()
    assert not pace.wait(stop)
    for wrong in (0, -1, float("nan")):
        with pytest.raises(UserError, match="requests_per_minute"):
            Pace(wrong)
