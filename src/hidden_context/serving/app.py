"""The application: routes, who may use them, how large a body may be, and what errors look like."""

import asyncio
import hmac
import time
from hashlib import sha256
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import hidden_context
from hidden_context.errors import UserError
from hidden_context.serving.contracts import as_unicode
from hidden_context.serving.direct import DirectRoutes
from hidden_context.serving.metrics import Metrics
from hidden_context.serving.page import POLICY, page_of
from hidden_context.serving.routes import router, scoring
from hidden_context.serving.scoring_queue import FullError, ModelError
from hidden_context.serving.service import GoneError, Service, TooManyError

OPEN = ("/health", "/docs", "/openapi.json")
"""Paths that need no token: they say what is served and how to ask, and score nothing."""
BODY_SECONDS = 30.0
"""How long a body may take to come."""
READ_ANYWAY = 8
"""Bodies of up to so many times the limit are read before they are refused."""
CLOSE = {"Connection": "close"}
RETRY_AFTER = 1
"""Seconds until there may be a place in the queue."""
GONE = 499
"""Status of answers that nobody waited for, in the metrics alone."""
SHOWN_ERRORS = 3
"""Of a request that cannot be read."""


def make_app(service: Service, *, token: str | None = None) -> FastAPI:
    """The application of a service that was started; with a `token`, only who has it may ask."""
    app = FastAPI(
        title="hidden-context",
        description=f"Rewards and distributions of utility by {service.model.name}.",
        version=hidden_context.__version__,
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    app.include_router(router)
    app.include_router(scoring)
    app.add_route("/docs", _page, include_in_schema=False)
    for kind, handle in HANDLERS.items():
        app.add_exception_handler(kind, handle)
    expected = {kind: handle for kind, handle in HANDLERS.items() if kind is not Exception}
    app.add_middleware(DirectRoutes, routes=scoring.routes, handlers=expected)
    max_body = int(service.options.max_body_mb * 2**20)
    app.add_middleware(_Guard, token=token, max_body=max_body)
    paths = frozenset(app.openapi()["paths"])
    app.add_middleware(_Measured, metrics=service.metrics, paths=paths)
    if token is not None:
        _say_that_a_token_is_needed(app)
    return app


def _say_that_a_token_is_needed(app: FastAPI) -> None:
    """In the OpenAPI page."""
    schema = app.openapi()
    schema.setdefault("components", {})["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer"}
    }
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            if path not in OPEN:
                operation["security"] = [{"token": []}]


async def _page(request: Request) -> Response:
    page = page_of(request.app.openapi())
    return HTMLResponse(page, headers={"Content-Security-Policy": POLICY})


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """An answer that says why there is none."""
    return JSONResponse({"detail": as_unicode(" ".join(detail.split()))}, status, headers)


async def _unreadable(_: Request, error: Any) -> Response:
    """One line; what was given is not repeated, since it may hold what no JSON can."""
    found = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
    distinct = list(dict.fromkeys(found))
    more = f"; and {len(distinct) - SHOWN_ERRORS} more" if len(distinct) > SHOWN_ERRORS else ""
    return problem(422, "; ".join(distinct[:SHOWN_ERRORS]) + more)


async def _refused(_: Request, error: Any) -> Response:
    return problem(413 if isinstance(error, TooManyError) else 422, str(error))


async def _full(_: Request, error: Any) -> Response:
    detail = "as many texts are waiting as the server accepts; try again."
    return problem(503, detail, {"Retry-After": str(RETRY_AFTER)})


async def _of_the_model(_: Request, error: Any) -> Response:
    return problem(500, str(error))


async def _gone(_: Request, error: Any) -> Response:
    return Response(status_code=GONE)


async def _http(_: Request, error: Any) -> Response:
    return problem(error.status_code, str(error.detail), error.headers)


async def _ours(_: Request, error: Any) -> Response:
    """A mistake of the server; its traceback goes to the log."""
    return problem(500, f"the server has failed ({type(error).__name__}); its log says more.")


HANDLERS: dict[Any, Any] = {
    RequestValidationError: _unreadable,
    UserError: _refused,
    FullError: _full,
    ModelError: _of_the_model,
    GoneError: _gone,
    HTTPException: _http,
    Exception: _ours,
}


class _Measured:
    """Counts each request, by route and status."""

    def __init__(self, app: ASGIApp, metrics: Metrics, paths: frozenset[str]) -> None:
        self._app, self._metrics, self._paths = app, metrics, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.monotonic(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            route = scope["path"] if scope["path"] in self._paths else "other"
            self._metrics.add(route, status, time.monotonic() - started)


class _Guard:
    """Lets a request pass that may be asked, with a body that is whole and not too large."""

    def __init__(self, app: ASGIApp, token: str | None, max_body: int) -> None:
        self._app, self._max_body = app, max_body
        self._token = None if token is None else sha256(token.encode()).digest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        refusal, messages = None, []
        if self._may(scope["path"], headers.get(b"authorization", b"")):
            refusal, messages = await self._body(headers.get(b"content-length", b"0"), receive)
        else:
            detail = "the server wants its bearer token: Authorization: Bearer ..."
            refusal = problem(401, detail, {"WWW-Authenticate": "Bearer", **CLOSE})
        if refusal is not None:
            await refusal(scope, receive, send)
            return

        async def again() -> Message:
            return messages.pop(0) if messages else await receive()

        await self._app(scope, again, send)

    def _may(self, path: str, authorization: bytes) -> bool:
        if self._token is None or path in OPEN:
            return True
        scheme, _, given = authorization.partition(b" ")
        # of equal lengths, whatever is given, so that the time to compare says nothing
        is_same = hmac.compare_digest(sha256(given.strip()).digest(), self._token)
        return scheme.lower() == b"bearer" and is_same

    async def _body(
        self, announced: bytes, receive: Receive
    ) -> tuple[Response | None, list[Message]]:
        """Why the body is refused, if it is, or else the messages that it came in.

        What is too large is read to its end nevertheless, within limits: most clients look for an
        answer only after they have sent all.
        """
        most = READ_ANYWAY * self._max_body
        if announced.isdigit() and int(announced) > most:
            return self._too_large(), []
        messages, size, more = [], 0, True
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while more and size <= most:
                    message = await receive()
                    size += len(message.get("body", b""))
                    more = message["type"] == "http.request" and message.get("more_body", False)
                    if size <= self._max_body:
                        messages.append(message)
        except TimeoutError:
            return problem(408, f"no body within {BODY_SECONDS:.0f} seconds.", CLOSE), []
        return (self._too_large() if size > self._max_body else None), messages

    def _too_large(self) -> Response:
        return problem(413, f"the body is over {self._max_body} bytes; send less.", CLOSE)
