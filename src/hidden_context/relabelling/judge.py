"""A judge: a model behind an endpoint, how it is asked, and what comes back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hidden_context.errors import UserError


@dataclass(frozen=True)
class Answer:
    """What came back for one request."""

    text: str | None
    finish_reason: str | None = None
    refusal: str | None = None
    """What the model says in place of an answer, where the endpoint tells it apart."""
    error: str | None = None
    """Why the endpoint refused this one request."""
    error_kind: Literal["too_long", "filtered", "other"] | None = None
    tokens: tuple[int, int] | None = None
    """Of prompt and answer, if the endpoint says so."""
    model: str | None = None
    """As the endpoint calls it."""


@dataclass(frozen=True, kw_only=True)
class Judge:
    """A model that judges, and how it is asked."""

    model: str
    """Its name at the endpoint."""
    base_url: str | None = None
    """Address that ends before /chat/completions, mostly in /v1; if not given, that of the client:
    OPENAI_BASE_URL, or that of OpenAI."""
    api_key_env: str = "OPENAI_API_KEY"
    """Environment variable that holds the key; none where the endpoint wants none."""
    temperature: float | None = None
    """Of sampling; if not given, the endpoint's own."""
    max_answer_tokens: int = 64
    """Longest answer in tokens; models that think before they answer need more."""
    limit_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """How the endpoint calls this limit."""
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of each request, such as reasoning_effort."""
    timeout: float = 120.0
    """Seconds for one answer."""

    def __post_init__(self) -> None:
        for name in ("max_answer_tokens", "timeout"):
            if not getattr(self, name) > 0:
                raise UserError(f"{name} is {getattr(self, name)}; expected a number above 0.")
        if not self.model:
            raise UserError("the judge has no name; give that of a model at the endpoint.")
        if self.temperature is not None and not 0 <= self.temperature < float("inf"):
            raise UserError(f"temperature is {self.temperature}; expected 0 or more.")
        for name in ("model", "messages", "stream", "n"):
            if name in self.extra_body:
                raise UserError(f"extra_body has {name!r}, which is not for it to say.")

    def request(self, question: str) -> dict[str, Any]:
        """The body of a request."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "user", "content": question}],
            self.limit_name: self.max_answer_tokens,
        }
        if self.temperature is not None:
            body["temperature"] = self.temperature
        return {**body, **self.extra_body}

    def most_tokens(self, body: Mapping[str, Any]) -> tuple[int, int]:
        """Upper bounds of the tokens of a request and of its answer: a token has a byte or more."""
        limits = (body.get("max_tokens"), body.get("max_completion_tokens"))
        given = [limit for limit in limits if isinstance(limit, int)]
        content = body["messages"][0]["content"]
        return len(content.encode()), max(given, default=self.max_answer_tokens)
