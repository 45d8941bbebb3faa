"""The routes of clients that exist already, each after its contract, and our own."""

import asyncio
import time
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import FiniteFloat

from hidden_context.comparisons.texts import as_turns
from hidden_context.llm.given_texts import GivenText
from hidden_context.serving.contracts import (
    Classified,
    ClassifyAnswer,
    ClassifyConversation,
    ClassifyTexts,
    DistributionAnswer,
    DistributionRequest,
    Embedded,
    EmbeddingsAnswer,
    EmbeddingsRequest,
    Health,
    LlamaFactoryAnswer,
    LlamaFactoryRequest,
    OpenRLHFAnswer,
    OpenRLHFRequest,
    Problem,
    SlimeRequest,
    Usage,
)
from hidden_context.serving.distribution import described, distributions_of
from hidden_context.serving.metrics import CONTENT_TYPE
from hidden_context.serving.scoring_queue import STOPPED
from hidden_context.serving.service import Service

PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The body is not JSON."},
    401: {"model": Problem, "description": "The bearer token is not the server's."},
    408: {"model": Problem, "description": "The body did not come in time."},
    413: {"model": Problem, "description": "The body, or the number of texts, is over the limit."},
    422: {"model": Problem, "description": "The request cannot be read, or has no finite reward."},
    500: {"model": Problem, "description": "The model cannot score a text."},
    503: {
        "model": Problem,
        "description": "The queue is full; try again.",
        "headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}},
    },
}
RiskQuery = Annotated[
    str | None,
    Query(
        alias="risk",
        description="Risk of this request's rewards, in place of the server's: mean, "
        "quantile:0.01, cvar:0.05, lcb:2.0, entropic:1.0, prob_below:-1.5, worst_context.",
    ),
]

router = APIRouter()
scoring = APIRouter(responses=PROBLEMS, tags=["rewards"])


def service_of(request: Request) -> Service:
    """The service of the application that a request came to."""
    return request.app.state.service


@scoring.post("/get_reward")
async def openrlhf(
    request: Request, body: OpenRLHFRequest, risk: RiskQuery = None
) -> OpenRLHFAnswer:
    """OpenRLHF, `--reward.remote_url`: texts are tokenised without adding special tokens."""
    service = service_of(request)
    measure = service.risk_of(risk)
    scored = await service.scored(request, body.query, special_tokens="theirs")
    rewards = service.rewards(scored.utility, measure)
    logs = {
        f"utility_{name}": [value for value in values if value is not None]
        for name, values in described(scored.utility).items()
    }
    finite = {name: values for name, values in logs.items() if len(values) == len(rewards)}
    return OpenRLHFAnswer(rewards=rewards, scores=rewards, extra_logs=finite)


@scoring.post("/classify")
async def vllm(
    request: Request, body: ClassifyTexts | ClassifyConversation, risk: RiskQuery = None
) -> ClassifyAnswer:
    """VLLM's /classify, of verl too: the reward is the only one of the `probs`."""
    service = service_of(request)
    special = isinstance(body, ClassifyConversation) or body.add_special_tokens
    rewards, num_tokens = await _rewards(
        service,
        request,
        [body.messages] if isinstance(body, ClassifyConversation) else _several(body.input),
        risk,
        special=special,
    )
    return ClassifyAnswer(
        id=f"classify-{uuid4().hex}",
        created=int(time.time()),
        model=body.model or service.model.name,
        data=[Classified(index=index, probs=[reward]) for index, reward in enumerate(rewards)],
        usage=Usage(prompt_tokens=num_tokens, total_tokens=num_tokens),
    )


@scoring.post("/v1/embeddings")
async def sglang(
    request: Request, body: EmbeddingsRequest, risk: RiskQuery = None
) -> EmbeddingsAnswer:
    """SGLang's /v1/embeddings, of verl too: the reward is the only number of the embedding."""
    service = service_of(request)
    rewards, num_tokens = await _rewards(service, request, _several(body.input), risk, special=True)
    return EmbeddingsAnswer(
        data=[Embedded(index=index, embedding=[reward]) for index, reward in enumerate(rewards)],
        model=body.model or service.model.name,
        usage=Usage(prompt_tokens=num_tokens, total_tokens=num_tokens),
    )


@scoring.post("/v1/reward")
async def slime(request: Request, body: SlimeRequest, risk: RiskQuery = None) -> FiniteFloat:
    """Slime, `--rm-type remote_rm`: a prompt with its response; the answer is one number.

    A text as prompt is followed by the response as it is; messages go through the chat template.
    """
    service = service_of(request)
    measure = service.risk_of(risk)
    text: Any = body.prompt
    text = (
        text + body.response
        if isinstance(text, str)
        else [*text, *as_turns(body.response, "assistant")]
    )
    scored = await service.scored(request, [text], special_tokens="unless_there")
    return service.rewards(scored.utility, measure)[0]


@scoring.post("/v1/score/evaluation")
async def llama_factory(
    request: Request, body: LlamaFactoryRequest, risk: RiskQuery = None
) -> LlamaFactoryAnswer:
    """LLaMA-Factory's route for whole texts."""
    service = service_of(request)
    measure = service.risk_of(risk)
    scored = await service.scored(
        request, body.messages, special_tokens="unless_there", max_length=body.max_length
    )
    return LlamaFactoryAnswer(
        id=f"scoreval-{uuid4().hex}",
        model=body.model,
        scores=service.rewards(scored.utility, measure),
    )


@scoring.post("/v1/distribution")
async def distribution(request: Request, body: DistributionRequest) -> DistributionAnswer:
    """Distributions of the utility of responses to one prompt, and who is preferred to whom."""
    service = service_of(request)
    risks = [service.risk_of(text) for text in body.risks]
    (texts,), _ = service.model.whole_texts([body.prompt], [body.responses], service.reading)
    scored = await service.scored(request, texts)
    found = await asyncio.to_thread(distributions_of, scored.utility, body.quantiles, risks)
    return DistributionAnswer(model=service.model.name, family=service.model.family.name, **found)


@router.get("/health", responses={503: PROBLEMS[503] | {"description": "Nothing is scored."}})
async def health(request: Request) -> Health:
    """Whether texts are scored, and by what."""
    service = service_of(request)
    if not service.queue.is_running:
        raise HTTPException(503, STOPPED)
    return Health(
        model=service.model.name,
        family=service.model.family.name,
        risk=str(service.risk),
        max_length=service.reading.max_length,
        accepted=service.queue.accepted,
    )


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Counts since the start, as Prometheus reads them."""
    service = service_of(request)
    return Response(service.metrics.text(service.queue), media_type=CONTENT_TYPE)


async def _rewards(
    service: Service, request: Request, texts: list[Any], risk: str | None, *, special: bool
) -> tuple[list[float], int]:
    measure = service.risk_of(risk)
    scored = await service.scored(request, texts, special_tokens="added" if special else "theirs")
    return service.rewards(scored.utility, measure), scored.num_tokens


def _several(given: Any) -> list[GivenText]:
    """One text or several, as several."""
    is_one = isinstance(given, str) or isinstance(given[0], int)
    return [given] if is_one else given
