"""Texts of all requests, scored together in one thread that owns the model.

Each turn scores one forward pass: that of the oldest text, with the texts that share its beginning
and others, as far as the token budget goes. So candidates for one prompt share the prompt whoever
sent them, and no text is overtaken for ever.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from hidden_context.errors import UserError
from hidden_context.llm.score import Scorer

WINDOW = 16
"""Texts of at most so many token budgets are looked through for those of the next pass,"""
WINDOW_TEXTS = 512
"""and at most so many texts."""

STOPPED = "the server has stopped scoring; start it again."

logger = logging.getLogger(__name__)


class FullError(Exception):
    """As many texts are waiting as may."""


class ModelError(Exception):
    """The model cannot score a text, through no fault of who sent it."""


@dataclass(eq=False)
class _Texts:
    """The texts of one request."""

    token_ids: Sequence[np.ndarray]
    raw: np.ndarray
    """Raw outputs so far, shape `(n, num_outputs)`."""
    answer: "asyncio.Future[np.ndarray]"
    missing: int = field(init=False)
    """How many are not scored yet."""

    def __post_init__(self) -> None:
        self.missing = len(self.token_ids)


@dataclass(frozen=True, eq=False)
class _Text:
    of: _Texts
    index: int

    @property
    def token_ids(self) -> np.ndarray:
        return self.of.token_ids[self.index]


@dataclass
class Counts:
    """What was scored since the start."""

    passes: int = 0
    texts: int = 0
    tokens: int = 0
    """Of the texts, shared ones counted in each."""
    seconds: float = 0.0
    """In the model."""
    aborted: int = 0
    """Texts taken back before they were scored, since their client had gone."""


class ScoringQueue:
    """A bounded queue of texts before one model, for the coroutines of one event loop."""

    def __init__(self, scorer: Scorer, *, capacity: int, max_wait: float) -> None:
        """Prepare; `start` starts the thread.

        Args:
            scorer: Of a model that nobody else uses meanwhile.
            capacity: Texts that may be accepted and not yet answered.
            max_wait: Seconds that an idle model waits for as many texts as it had last time.
        """
        self._scorer, self.capacity, self._max_wait = scorer, capacity, max_wait
        self.accepted = 0
        """Texts that have a place: being tokenised, waiting or being scored."""
        self.counts = Counts()
        self._waiting: dict[_Text, None] = {}  # in the order of arrival
        self._changed = threading.Condition()
        self._closing = False
        self._last = 1  # texts that were here at the end of the last pass, those scored included
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)

    def start(self) -> None:
        """Start scoring, in a thread."""
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether texts are scored."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Score what waits, then stop; returns when the thread has ended."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join()

    @contextmanager
    def place_for(self, number: int) -> Iterator[None]:
        """Keep a place for so many texts of a request, until it is answered.

        Raises:
            FullError: There is none at the moment.
        """
        if self.accepted + number > self.capacity:
            raise FullError
        self.accepted += number
        try:
            yield
        finally:
            self.accepted -= number

    async def raw_outputs(self, token_ids: Sequence[np.ndarray]) -> np.ndarray:
        """Raw outputs of texts, shape `(n, num_outputs)`, float32; call with a place for them.

        If the coroutine is cancelled, texts that are not yet being scored are taken back.

        Raises:
            ModelError: The model cannot score one of them.
        """
        raw = np.full((len(token_ids), self._scorer.num_outputs), np.nan, np.float32)
        if not token_ids:
            return raw
        request = _Texts(token_ids, raw, asyncio.get_running_loop().create_future())
        texts = [_Text(request, index) for index in range(len(token_ids))]
        with self._changed:
            if self._closing:
                raise ModelError(STOPPED)
            self._waiting.update(dict.fromkeys(texts))
            self._changed.notify()
        try:
            return await request.answer
        except asyncio.CancelledError:
            with self._changed:
                taken_back = [text for text in texts if text in self._waiting]
                for text in taken_back:
                    del self._waiting[text]
                self.counts.aborted += len(taken_back)
            raise

    def _work(self) -> None:
        try:
            with self._scorer:
                while texts := self._next_pass():
                    started = time.monotonic()
                    results = self._scored(texts)
                    self._count(texts, time.monotonic() - started)
                    _answer(texts, results)
        finally:  # nobody is left without an answer
            with self._changed:
                self._closing = True
                left = list(self._waiting)
                self._waiting.clear()
            _answer(left, [ModelError(STOPPED)] * len(left))

    def _count(self, texts: Sequence[_Text], seconds: float) -> None:
        with self._changed:
            self._last = len(texts) + len(self._waiting)
            self.counts.passes += 1
            self.counts.texts += len(texts)
            self.counts.tokens += sum(len(text.token_ids) for text in texts)
            self.counts.seconds += seconds

    def _next_pass(self) -> list[_Text]:
        """The texts to score next, taken from the queue; none when it is closed and empty."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    return []
            window = self._window()
            indices = self._scorer.pass_of_first([text.token_ids for text in window])
            if len(indices) == len(window) and self._more_came():
                window = self._window() or window
                indices = self._scorer.pass_of_first([text.token_ids for text in window])
            with self._changed:
                taken = [window[index] for index in indices if window[index] in self._waiting]
                for text in taken:
                    del self._waiting[text]
            if taken:  # else their clients have gone
                return taken

    def _more_came(self) -> bool:
        """Whether texts came while it was waited for as many as there were last time."""
        with self._changed:
            before = len(self._waiting)
            self._changed.wait_for(
                lambda: len(self._waiting) >= self._last or self._closing, timeout=self._max_wait
            )
            return len(self._waiting) != before

    def _window(self) -> list[_Text]:
        """The oldest texts, as many as are worth looking through for a pass."""
        with self._changed:
            texts = list(islice(self._waiting, WINDOW_TEXTS))
        lengths = np.cumsum([len(text.token_ids) for text in texts])
        enough = np.searchsorted(lengths, WINDOW * self._scorer.token_budget, side="right")
        return texts[: max(1, int(enough))]

    def _scored(self, texts: Sequence[_Text]) -> Sequence[np.ndarray | ModelError]:
        """Raw outputs of each; where a pass fails, each text alone, so that one spoils no other."""
        try:
            return list(self._scorer.raw_outputs([text.token_ids for text in texts]))
        except Exception as error:
            if len(texts) > 1:
                return [result for text in texts for result in self._scored([text])]
            if not isinstance(error, UserError):
                logger.exception("a text of %d tokens cannot be scored", len(texts[0].token_ids))
            reason = ModelError(" ".join(f"{error}".split()) or type(error).__name__)
            return [reason]


def _answer(texts: Sequence[_Text], results: Sequence[np.ndarray | ModelError]) -> None:
    """Give results to the requests, and wake those that have all of theirs."""
    done: dict[_Texts, np.ndarray | ModelError] = {}
    for text, result in zip(texts, results, strict=True):
        request = text.of
        request.missing -= 1
        if isinstance(result, ModelError):
            done[request] = result
            continue
        request.raw[text.index] = result
        if not request.missing:
            done.setdefault(request, request.raw)
    if done:
        loop = next(iter(done)).answer.get_loop()
        with suppress(RuntimeError):  # the loop is closed: all who asked have gone
            loop.call_soon_threadsafe(_wake, list(done.items()))


def _wake(done: Sequence[tuple[_Texts, np.ndarray | ModelError]]) -> None:
    for request, result in done:
        if request.answer.done():  # its client has gone, or another of its texts failed
            continue
        if isinstance(result, ModelError):
            request.answer.set_exception(result)
        else:
            request.answer.set_result(result)
