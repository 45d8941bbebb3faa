"""The client of an OpenAI-compatible endpoint, and the many ways in which that can fail."""

import email.utils
import json
import os
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from hidden_context.errors import UserError
from hidden_context.records import brief
from hidden_context.relabelling.judge import Answer, Judge

NO_KEY = "none"
"""As `api_key_env`: the endpoint wants no key, and none is sent."""
LARGEST_ANSWER = 2**24
"""Bytes of an answer; more is none."""
TRANSIENT_STATUS = frozenset({408, 409, 425, 429, *range(500, 600)})
FATAL_STATUS = {
    401: "does not accept the key",
    402: "wants to be paid first",
    404: "does not know this model or address",
    405: "is no endpoint for chat completions",
}
NOT_SENT = ("ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol")
"""Errors of the client's client after which the endpoint cannot have seen the request."""
TOO_LONG = re.compile(
    r"context[ _](length|size|window|limit)|(prompt|input|request)\b.{0,20}\btoo (long|large)|"
    r"too many (input )?tokens"
)
"""Of a refusal for the length of the one request (OpenAI, vLLM, llama.cpp, and what goes by
them)."""
FILTERED = re.compile(r"content[ _](filter|policy|management)|safety|moderation|flagged")
"""Of a refusal for what the one request says."""


class NotNowError(Exception):
    """The request failed in a way that may pass."""

    def __init__(
        self, reason: str, *, wait: float | None = None, may_be_paid: bool = False
    ) -> None:
        super().__init__(reason)
        self.wait = wait
        """Seconds that the endpoint asked to wait."""
        self.may_be_paid = may_be_paid
        """Whether the endpoint may have answered, and the answer was lost."""


class Endpoint:
    """The client of a judge's endpoint; several threads may use it.

    Requests are tried once: trying again, waiting and paying are for the caller to decide.
    """

    def __init__(self, judge: Judge) -> None:
        """Read the key, and make the client; nothing is sent.

        Raises:
            UserError: The client is not installed, there is no key, or the address is none.
        """
        try:
            import openai
        except ImportError:
            raise UserError(
                'judges are asked by the package openai: pip install "hidden-context[relabel]"'
            ) from None
        self._openai, self.judge = openai, judge
        self._key = _key_of(judge)
        address = judge.base_url or os.environ.get("OPENAI_BASE_URL") or None
        if address is not None:
            _checked_address(address)
        self._client = openai.OpenAI(
            api_key=self._key or NO_KEY,
            base_url=address,
            max_retries=0,
            timeout=judge.timeout,
        )
        self.address = _checked_address(str(self._client.base_url))
        """Where requests go."""

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def ask(self, body: Mapping[str, Any]) -> Answer:
        """Send one request.

        Raises:
            NotNowError: It failed in a way that may pass.
            UserError: All requests would fail so: no such model, no right to ask.
        """
        try:
            return self._read(self._send(body))
        except self._openai.APIStatusError as error:
            return self._refused(error)
        except (self._openai.APITimeoutError, TimeoutError) as error:
            reason = f"no answer within {self.judge.timeout:g} seconds"
            is_sent = type(error.__cause__).__name__ not in NOT_SENT
            raise NotNowError(reason, may_be_paid=is_sent) from error
        except self._openai.APIConnectionError as error:
            cause = error.__cause__ or error
            is_sent = type(cause).__name__ not in NOT_SENT
            reason = f"no connection: {self._shown(cause)}"
            raise NotNowError(reason, may_be_paid=is_sent) from error
        except Exception as error:  # of the client's client, while the answer is being read
            if type(error).__module__.partition(".")[0] not in ("httpx", "httpx2", "httpcore"):
                raise
            reason = f"the connection broke: {self._shown(error)}"
            raise NotNowError(reason, may_be_paid=True) from error

    def _send(self, body: Mapping[str, Any]) -> bytes:
        """The bytes of an answer; the whole of it takes no longer than the timeout."""
        deadline = time.monotonic() + self.judge.timeout
        further = {name: value for name, value in body.items() if name not in ("model", "messages")}
        headers = None if self._key else {"Authorization": self._openai.Omit()}
        create: Any = self._client.chat.completions.with_streaming_response.create
        received = bytearray()
        with create(
            model=body["model"],
            messages=body["messages"],
            extra_body=further,
            extra_headers=headers,
        ) as response:
            for chunk in response.iter_bytes():
                received += chunk
                if time.monotonic() > deadline:
                    raise TimeoutError
                if len(received) > LARGEST_ANSWER:
                    raise NotNowError("an answer without end", may_be_paid=True)
        return bytes(received)

    def _read(self, received: bytes) -> Answer:
        """The answer that a body holds, of which not all servers fill every field."""
        try:
            body = json.loads(received)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict) or not isinstance(body.get("choices"), list):
            shown = self._hidden(received[:200].decode(errors="replace"))
            raise NotNowError(
                f"it sent what is no chat completion: {brief(ValueError(shown))!r}",
                may_be_paid=True,
            )
        choice = body["choices"][0] if body["choices"] else None
        choice = choice if isinstance(choice, dict) else {}
        message = choice.get("message")
        message = message if isinstance(message, dict) else {}
        return Answer(
            text=_text_of(message.get("content")),
            finish_reason=_text(choice.get("finish_reason")),
            refusal=_text(message.get("refusal")),
            tokens=_tokens(body.get("usage")),
            model=_text(body.get("model")),
        )

    def _refused(self, error: Any) -> Answer:
        """An answer that says why the endpoint refused this one request."""
        status = error.status_code
        said = f"{status} {self._message(error)}".strip()
        code = f"{error.code} {error.type} {said}".lower()
        if status in FATAL_STATUS:
            raise UserError(
                f"{self.address} {FATAL_STATUS[status]} (model {self.judge.model}, key from "
                f"{self.judge.api_key_env}): {said}"
            ) from None
        if status == 429 and "insufficient_quota" in code:
            raise UserError(f"{self.address} wants to be paid first: {said}") from None
        if status in TRANSIENT_STATUS:
            raise NotNowError(said, wait=_wait(error.response.headers)) from None
        if status == 413 or (status in (400, 422) and TOO_LONG.search(code)):
            return Answer(None, error=said, error_kind="too_long")
        if status in (400, 403, 422) and FILTERED.search(code):
            return Answer(None, error=said, error_kind="filtered")
        return Answer(None, error=said, error_kind="other")

    def _message(self, error: Any) -> str:
        """What an endpoint says of its refusal, in JSON or as it is."""
        body = error.body if isinstance(error.body, dict) else {}
        said = body.get("message") or body.get("detail") or error.response.text
        return self._hidden(brief(ValueError(said))) if said else ""

    def _shown(self, error: BaseException) -> str:
        return self._hidden(brief(error) if isinstance(error, Exception) else str(error))

    def _hidden(self, text: str) -> str:
        """A text without the key, which servers may repeat."""
        return text.replace(self._key, "[key]") if self._key else text


def _key_of(judge: Judge) -> str | None:
    if judge.api_key_env == NO_KEY:
        return None
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", judge.api_key_env):
        raise UserError(
            "api_key_env is no name of an environment variable; give the name of the one that "
            "holds the key, not the key."
        )
    key = os.environ.get(judge.api_key_env, "").strip()
    if not key:
        raise UserError(
            f"the environment variable {judge.api_key_env} holds no key; set it, name another "
            f"(api_key_env), or say {NO_KEY} if the endpoint wants none."
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise UserError(
            f"the environment variable {judge.api_key_env} holds what cannot be a key: white space "
            "or characters that no header can have."
        )
    return key


def _checked_address(address: str) -> str:
    """The address, if it is one without secrets.

    Raises:
        UserError: It is none, or has a user, a password or a query.
    """
    no_address = UserError("base_url is no address; expected one such as http://127.0.0.1:8000/v1.")
    try:
        parts = urlsplit(address)
        _ = parts.port  # checks it
    except ValueError:
        raise no_address from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise no_address
    if parts.username or parts.password or parts.query:
        raise UserError(
            "base_url holds a user, a password or a query, which would be written to files; give "
            "the key in the environment, and the address alone."
        )
    return address.rstrip("/")


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _text_of(content: Any) -> str | None:
    """Text of a message, also where it is in parts."""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    return _text(content)


def _tokens(usage: Any) -> tuple[int, int] | None:
    if not isinstance(usage, dict):
        return None
    counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    whole = [count for count in counts if isinstance(count, int) and count >= 0]
    return (whole[0], whole[1]) if len(whole) == 2 else None


def _wait(headers: Any) -> float | None:
    """Seconds that `Retry-After` asks for: a number, or a date; None where it says neither."""
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers.get(name, "")) / unit
        except ValueError:
            continue
        return seconds if seconds >= 0 else None  # nor is NaN a wait
    try:
        date = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
    except (TypeError, ValueError, IndexError):
        return None
    return max(0.0, date.timestamp() - time.time())
