"""What requests and answers hold: the contracts of the clients, and our own.

Fields that a client may send and that change nothing here are taken and ignored, as its own server
does; those that would change what is scored are refused unless they ask for what happens anyway.
"""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat


def as_unicode(text: str) -> str:
    """A text without lone surrogates, which JSON can hold and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


ModelName: TypeAlias = Annotated[str, AfterValidator(as_unicode)]
"""Given back as it came, as far as an answer in UTF-8 can."""
TokenId: TypeAlias = Annotated[int, Field(ge=0, lt=2**31)]
TokenIds: TypeAlias = Annotated[list[TokenId], Field(min_length=1)]
Conversation: TypeAlias = Annotated[list[dict[str, Any]], Field(min_length=1)]
"""Messages with role and content."""
Share: TypeAlias = Annotated[float, Field(gt=0, lt=1)]

MOST_RESPONSES = 256
"""To one prompt; each is compared with each."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class Problem(BaseModel):
    """Why a request was not answered, in a sentence."""

    detail: str


class OpenRLHFRequest(BaseModel):
    """Texts with their special tokens, as OpenRLHF sends them."""

    query: list[str]
    """Prompt and response as one text; none at all is answered by none."""
    prompts: list[Any] | None = None
    labels: list[Any] | None = None


class OpenRLHFAnswer(BaseModel):
    """One reward for each query."""

    rewards: list[FiniteFloat]
    scores: list[FiniteFloat]
    """The same: what OpenRLHF filters prompts by."""
    extra_logs: dict[str, list[FiniteFloat]]
    """Mean and standard deviation of utility, for its logs, where all are finite."""


class _OfOneReward(BaseModel):
    """Fields of vLLM's and SGLang's requests that could ask for something else."""

    model: ModelName | None = None
    truncate_prompt_tokens: None = None
    """Not taken: over-long texts are treated as the server was told."""


class ClassifyTexts(_OfOneReward):
    """A request of vLLM's /classify, as verl sends it."""

    input: (
        str
        | Annotated[list[str], Field(min_length=1)]
        | TokenIds
        | Annotated[list[TokenIds], Field(min_length=1)]
    )
    """Texts, to which special tokens are added, or token ids, which are scored as they are."""
    messages: None = None
    add_special_tokens: bool = True
    use_activation: Literal[False] | None = None
    """Rewards are raw numbers, whether or not this is said."""


class ClassifyConversation(_OfOneReward):
    """A request of vLLM's /classify with a conversation, for the model's chat template."""

    input: None = None
    messages: Conversation
    add_special_tokens: Literal[False] = False
    use_activation: Literal[False] | None = None
    add_generation_prompt: Literal[False] = False
    continue_final_message: Literal[False] = False
    chat_template: None = None
    chat_template_kwargs: None = None


class EmbeddingsRequest(_OfOneReward):
    """A request of SGLang's /v1/embeddings, as verl sends it."""

    input: str | Annotated[list[str], Field(min_length=1)]
    """Texts, to which special tokens are added."""
    encoding_format: Literal["float"] = "float"
    dimensions: Literal[1] | None = None


class Usage(BaseModel):
    """Tokens that were read."""

    prompt_tokens: int
    total_tokens: int
    completion_tokens: int = 0


class Classified(BaseModel):
    """One text's reward, where vLLM has the probabilities of classes."""

    index: int
    label: Literal["reward"] = "reward"
    probs: Annotated[list[FiniteFloat], Field(min_length=1, max_length=1)]
    num_classes: Literal[1] = 1


class ClassifyAnswer(BaseModel):
    """One reward for each input, one column wide."""

    id: str
    object: Literal["list"] = "list"
    created: int
    model: str
    data: list[Classified]
    usage: Usage


class Embedded(BaseModel):
    """One text's reward, where SGLang has an embedding."""

    object: Literal["embedding"] = "embedding"
    embedding: Annotated[list[FiniteFloat], Field(min_length=1, max_length=1)]
    index: int


class EmbeddingsAnswer(BaseModel):
    """One reward for each input, one column wide."""

    object: Literal["list"] = "list"
    data: list[Embedded]
    model: str
    usage: Usage


class SlimeRequest(BaseModel):
    """A prompt and its response, as slime sends them; the answer is one number."""

    prompt: str | Conversation
    response: str
    label: Any = None


class LlamaFactoryRequest(BaseModel):
    """Whole texts, as LLaMA-Factory's clients send them."""

    model: ModelName
    messages: Annotated[list[str], Field(min_length=1)]
    max_length: Annotated[int, Field(ge=1)] | None = None
    """Texts are over-long from here on, if the server's own limit is not lower."""


class LlamaFactoryAnswer(BaseModel):
    """One score for each text."""

    id: str
    object: Literal["score.evaluation"] = "score.evaluation"
    model: str
    scores: list[FiniteFloat]


class DistributionRequest(BaseModel):
    """Responses to one prompt, whose distributions of utility are wanted."""

    model_config = ConfigDict(extra="forbid")

    prompt: str | Conversation
    responses: Annotated[list[str | Conversation], Field(min_length=1, max_length=MOST_RESPONSES)]
    quantiles: Annotated[list[Share], Field(max_length=100)] = list(QUANTILES)
    """Levels above 0 and below 1."""
    risks: Annotated[list[str], Field(max_length=100)] = []
    """Rewards by these too: cvar:0.05, entropic:1.0, ..."""


class DistributionAnswer(BaseModel):
    """Distributions of utility, in the order of the responses; null: not finite."""

    model: str
    family: str
    mean: list[float | None]
    std: list[float | None]
    levels: list[float]
    quantiles: list[list[float | None]]
    """Of each response, at each of the levels."""
    rewards: dict[str, list[float | None]]
    """By risk."""
    prob_preferred: list[list[FiniteFloat]]
    """P(a ≻ b) in row a and column b."""


class Health(BaseModel):
    """What is served."""

    status: Literal["ok"] = "ok"
    model: str
    family: str
    risk: str
    max_length: int
    accepted: int
    """Texts that are not answered yet."""
