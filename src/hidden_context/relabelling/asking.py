"""Ask many questions at once, try again what failed for a while, and keep every answer."""

import logging
import random
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tqdm import tqdm

from hidden_context.errors import UserError
from hidden_context.progress import is_terminal, progress_bar
from hidden_context.relabelling.answers import Answers
from hidden_context.relabelling.budget import Purse
from hidden_context.relabelling.endpoint import Endpoint, NotNowError
from hidden_context.relabelling.judge import Answer
from hidden_context.relabelling.pace import Pace
from hidden_context.relabelling.questions import Question

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before a request is tried again, doubled each time, where the endpoint names none."""
IN_A_ROW = 5
"""Questions after which a run ends, if none of them, one after the other, was answered."""
POLL = 0.1
"""Seconds between looks at how far the threads are."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Asking:
    """How requests are sent."""

    concurrency: int = 8
    """Requests under way at once."""
    requests_per_minute: float | None = None
    """Requests that are begun within a minute, evenly spaced; no limit if not given."""
    retries: int = 6
    """How often a request is sent again that failed in a way that may pass."""
    longest_wait: float = 600.0
    """Seconds; where the endpoint asks to wait for longer, the run ends instead."""

    def __post_init__(self) -> None:
        Pace(self.requests_per_minute)  # checks it
        for name, least in (("concurrency", 1), ("retries", 0), ("longest_wait", 0)):
            if not getattr(self, name) >= least:
                raise UserError(f"{name} is {getattr(self, name)}; expected {least} or more.")


def ask_all(
    questions: Sequence[Question],
    endpoint: Endpoint,
    answers: Answers,
    purse: Purse,
    asking: Asking,
    *,
    progress: bool = False,
) -> None:
    """Ask, and keep each answer when it comes.

    Ends early, and in good order, where the budget does (`purse.exhausted`). At Ctrl-C no further
    request is sent, and those under way are waited for, unless it is pressed again.

    Raises:
        UserError: The endpoint answers nobody, or not so many questions one after the other. What
            was answered is kept.
    """
    total = len(questions)
    number = min(asking.concurrency, total)
    run = _Run(questions, endpoint, answers, purse, asking, number)
    threads = [threading.Thread(target=run.work, daemon=True) for _ in range(number)]
    bar = progress_bar(total, "asking", unit="question", shown=progress and is_terminal())
    with bar:
        try:
            for thread in threads:
                thread.start()
            _watch(run, bar)
        except KeyboardInterrupt:
            run.stop.set()
            logger.info(
                "waiting for the answers that are under way, so that none is lost; once more to "
                "leave them"
            )
            _watch(run, bar)
            raise
    run.end()


def _watch(run: "_Run", bar: tqdm) -> None:
    """Until all threads have ended. Not by `join`: interrupted, it takes a thread for ended."""
    while not run.ended.wait(POLL):
        bar.update(run.answered - bar.n)
    bar.update(run.answered - bar.n)


class _Run:
    """What the threads share."""

    def __init__(
        self,
        questions: Sequence[Question],
        endpoint: Endpoint,
        answers: Answers,
        purse: Purse,
        asking: Asking,
        num_threads: int,
    ) -> None:
        self.stop, self.ended = threading.Event(), threading.Event()
        self._num_working = num_threads
        if not num_threads:
            self.ended.set()
        self.answered = 0
        self._questions: Iterator[Question] = iter(questions)
        self._endpoint, self._answers, self._purse = endpoint, answers, purse
        self._asking, self._pace = asking, Pace(asking.requests_per_minute)
        self._lock = threading.Lock()
        self._failed_in_a_row: list[str] = []
        self._doubtful: list[tuple[Question, Answer]] = []
        self._error: BaseException | None = None

    def work(self) -> None:
        """Ask one question after the other, until there are no more or the run ends."""
        try:
            while (question := self._next()) is not None:
                self._ask(question)
        except BaseException as error:
            with self._lock:
                self._error = self._error or error
            self.stop.set()
        finally:
            with self._lock:
                self._num_working -= 1
                if not self._num_working:
                    self.ended.set()

    def end(self) -> None:
        """After the last thread: raise what ended the run.

        Refused requests count as such only where others were answered.
        """
        if self._error is None and self._failed_in_a_row and not self.answered:
            self._error = self._nothing_answered()
        if self._error is not None:
            raise self._error
        self._keep_doubtful()

    def _next(self) -> Question | None:
        with self._lock:
            return None if self.stop.is_set() else next(self._questions, None)

    def _ask(self, question: Question) -> None:
        for failures in range(1, self._asking.retries + 2):
            try:
                answer = self._send(question)
                if answer is not None:
                    self._received(question, answer)
                return
            except NotNowError as error:
                self._wait_after(error, failures)
                reason = f"{error} (sent {failures} times)"
        self._count_failure(reason)  # pyrefly: ignore[unbound-name]

    def _wait_after(self, error: NotNowError, failures: int) -> None:
        """All wait for as long as the endpoint asked; if it asked for nothing, this thread does."""
        seconds = error.wait or 0.0
        if seconds > self._asking.longest_wait:
            raise UserError(
                f"{self._endpoint.address} asks to wait for {seconds:.0f} seconds ({error}); what "
                "was answered is kept: run the same again then."
            )
        if seconds:
            self._pace.hold(seconds)
        elif failures <= self._asking.retries:
            pause = min(FIRST_PAUSE * 2 ** (failures - 1), LONGEST_PAUSE)
            self.stop.wait(pause * random.uniform(0.5, 1.0))

    def _send(self, question: Question) -> Answer | None:
        """One request when its turn has come; None if the run ends before."""
        body = question.body
        most = question.judge.most_tokens(body)
        if not self._purse.lay_aside(most):
            self.stop.set()
            return None
        if not self._pace.wait(self.stop):
            self._purse.put_back(most)
            return None
        spent: tuple[int, int] | None = (0, 0)
        try:
            answer = self._endpoint.ask(body)
            spent = (0, 0) if answer.error else answer.tokens
            return answer
        except NotNowError as error:
            spent = None if error.may_be_paid else (0, 0)
            raise
        finally:
            self._purse.settle(most, spent)

    def _received(self, question: Question, answer: Answer) -> None:
        if answer.error_kind == "other":  # of this request alone, or of all?
            with self._lock:
                self._doubtful.append((question, answer))
            self._count_failure(answer.error or "")
            return
        self._answers.keep(question, answer, self._endpoint.address)
        with self._lock:
            self.answered += 1
            self._failed_in_a_row.clear()
        self._keep_doubtful()

    def _keep_doubtful(self) -> None:
        """Keep refusals of single requests: others were answered."""
        with self._lock:
            doubtful, self._doubtful = self._doubtful, []
        for question, answer in doubtful:
            self._answers.keep(question, answer, self._endpoint.address)
            with self._lock:
                self.answered += 1

    def _count_failure(self, reason: str) -> None:
        with self._lock:
            self._failed_in_a_row.append(reason)
            too_many = len(self._failed_in_a_row) >= IN_A_ROW
        if too_many:
            raise self._nothing_answered()

    def _nothing_answered(self) -> UserError:
        number, reason = len(self._failed_in_a_row), self._failed_in_a_row[-1]
        return UserError(
            f"{self._endpoint.address} did not answer {number} question(s) one after the other, "
            f"the last since: {reason.rstrip('.')}. What was answered is kept: run the same again "
            "to go on."
        )
