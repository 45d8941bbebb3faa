"""What all routes share: from the texts of a request to raw outputs, utilities and rewards."""

import asyncio
from collections.abc import Awaitable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Literal, TypeVar

import numpy as np
from fastapi import Request

from hidden_context.distributions import UtilityDistribution
from hidden_context.errors import UserError
from hidden_context.llm.given_texts import GivenText
from hidden_context.llm.reward_model import RewardModel
from hidden_context.llm.score import Scorer
from hidden_context.llm.scoring_options import ScoringOptions
from hidden_context.llm.tokens import TokenizedTexts, tokenize
from hidden_context.risk import Risk, check_supported, parse_risk
from hidden_context.serving.metrics import Metrics
from hidden_context.serving.options import ServingOptions
from hidden_context.serving.scoring_queue import ScoringQueue

SpecialTokens = Literal["added", "theirs", "unless_there"]
"""Special tokens of plain texts: added, theirs already, or added unless they begin with BOS."""
TRIED = "A text that is long enough to find out how this model's texts can be read together. "
"""What a model reads before its first request."""
ResultT = TypeVar("ResultT")


class GoneError(Exception):
    """Who asked has gone; nobody reads the answer."""


class TooManyError(UserError):
    """A request has more texts than the queue holds, so that it would never be accepted."""


@dataclass(frozen=True, eq=False)
class Scored:
    """The texts of one request, scored."""

    utility: UtilityDistribution
    """Shape `(n,)`."""
    num_tokens: int
    """Of all texts together."""


class Service:
    """A model that answers many requests at once."""

    def __init__(
        self, model: RewardModel, options: ServingOptions, reading: ScoringOptions
    ) -> None:
        """Prepare; nobody else uses the model from `start` to `stop`.

        Raises:
            UserError: The family does not have the risk, or over-long texts would be left out.
        """
        if reading.overlong == "drop":
            raise UserError("a text that is left out has no reward; give another overlong.")
        self.model, self.options = model, options
        scorer = model.scorer(reading)
        self.reading = scorer.options
        self.risk = self.risk_of(options.risk)
        self.queue = ScoringQueue(
            scorer, capacity=options.queue_size, max_wait=options.max_wait_ms / 1000
        )
        self.metrics = Metrics()
        self._scorer = scorer
        self._tokenizer_thread = ThreadPoolExecutor(1, thread_name_prefix="tokenizer")

    def start(self) -> None:
        """Find out how texts can be read together, and start scoring.

        Raises:
            UserError: No batch of texts can be scored soundly.
        """
        try_out(self._scorer, self.model.tokenizer)
        self.queue.start()

    def stop(self) -> None:
        """Score what was accepted, and leave the model as it was."""
        self.queue.close()
        self._tokenizer_thread.shutdown()

    def risk_of(self, text: str | None) -> Risk:
        """The risk that a request asks for, or the server's.

        Raises:
            UserError: It does not parse, or the family does not have it.
        """
        if text is None:
            return self.risk
        return _supported(text, self.model.family)

    async def scored(
        self,
        request: Request,
        texts: Sequence[GivenText],
        *,
        special_tokens: SpecialTokens = "added",
        max_length: int | None = None,
    ) -> Scored:
        """Score the texts of a request together with those of others.

        Raises:
            UserError: A text cannot be read.
            FullError: The queue has no place for them at the moment.
            TooManyError: It never has.
            ModelError: The model cannot score one of them.
            GoneError: The client has gone meanwhile.
        """
        if len(texts) > self.queue.capacity:
            raise TooManyError(
                f"the request has {len(texts)} texts, more than the {self.queue.capacity} that the "
                "server accepts at a time; send fewer."
            )
        with self.queue.place_for(len(texts)):
            loop = asyncio.get_running_loop()
            tokenized = await loop.run_in_executor(
                self._tokenizer_thread, partial(self._tokenized, texts, special_tokens, max_length)
            )
            self.metrics.overlong_texts += int(tokenized.overlong.sum())
            raw = await unless_gone(request, self.queue.raw_outputs(tokenized.token_ids))
        utility = self.model.family.decode(raw.astype(np.float64))
        return Scored(utility, sum(map(len, tokenized.token_ids)))

    def _tokenized(
        self, texts: Sequence[GivenText], special_tokens: SpecialTokens, max_length: int | None
    ) -> TokenizedTexts:
        if not texts:
            return TokenizedTexts([], np.zeros(0, bool))
        rows, _ = self.model.whole_texts(texts, None, self.reading)
        read = [text for (text,) in rows]
        bos = special_tokens == "unless_there" and self.model.tokenizer.bos_token
        have_theirs = [
            special_tokens == "theirs"
            or (bool(bos) and isinstance(text, str) and text.startswith(bos))
            for text in read
        ]
        token_ids = [np.zeros(0, np.int32)] * len(read)
        overlong = np.zeros(len(read), bool)
        for theirs in set(have_theirs):
            indices = [index for index, has in enumerate(have_theirs) if has is theirs]
            tokenized = tokenize(
                self.model.tokenizer,
                [read[index] for index in indices],
                max_length=min(max_length or self.reading.max_length, self.reading.max_length),
                overlong=self.reading.overlong,
                place=[f"text {index + 1}" for index in indices].__getitem__,
                special_tokens=not theirs,
            )
            for index, ids in zip(indices, tokenized.token_ids, strict=True):
                token_ids[index] = ids
            overlong[indices] = tokenized.overlong
        return TokenizedTexts(token_ids, overlong)

    def rewards(self, utility: UtilityDistribution, risk: Risk) -> list[float]:
        """A number for each response.

        Raises:
            UserError: One is not finite, which JSON has no number for.
        """
        rewards = np.asarray(risk(utility), dtype=np.float64)
        finite = np.isfinite(rewards)
        if not finite.all():
            index = int(finite.argmin())
            raise UserError(
                f"the reward of text {index + 1} by {risk} is {rewards[index]}, and no JSON can "
                "say so; ask for a risk that is finite for this model."
            )
        return rewards.tolist()


async def unless_gone(request: Request, answer: Awaitable[ResultT]) -> ResultT:
    """Wait for an answer as long as there is somebody to give it to.

    Raises:
        GoneError: The client has closed its connection; the work is cancelled.
    """
    working = asyncio.current_task()
    assert working is not None
    is_waiting = True

    def stop(watch: "asyncio.Task[None]") -> None:
        if is_waiting and not watch.cancelled():
            working.cancel()

    gone = asyncio.ensure_future(_until_gone(request))
    gone.add_done_callback(stop)
    try:
        return await answer
    except asyncio.CancelledError:
        if not gone.done() or gone.cancelled():
            raise  # it is the server that stops
        working.uncancel()
        raise GoneError from None
    finally:
        is_waiting = False
        gone.cancel()


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def try_out(scorer: Scorer, tokenizer: Any) -> None:
    """Score some texts that share beginnings, so that the batching is chosen and memory is there.

    Raises:
        UserError: No batch of texts can be scored soundly.
    """
    longest = scorer.options.max_length
    ids = tokenizer(TRIED * 8, verbose=False)["input_ids"][:longest]
    texts = [np.array(ids[:end], np.int32) for end in (len(ids), len(ids) // 2, len(ids) // 3)]
    texts += [np.concatenate([text[:-1], text[:1]]) for text in texts]
    with scorer:
        scorer.raw_outputs([text for text in texts if len(text)])


@lru_cache(maxsize=256)
def _supported(text: str, family: Any) -> Risk:
    risk = parse_risk(text)
    check_supported(risk, family)
    return risk
