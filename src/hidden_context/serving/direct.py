"""The routes that score, called without what the framework does anew for each request.

FastAPI describes the routes (`/openapi.json`) and answers all others. Its routing, dependencies and
second validation of answers were 40 % of the processor time of HTTP. What is read, refused and
answered is the same.
"""

import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

JSON = "application/json"


@dataclass(frozen=True, eq=False)
class Direct:
    """A route: what it reads, what it does, and what it answers."""

    endpoint: Callable[..., Any]
    reader: TypeAdapter[Any]
    writer: TypeAdapter[Any]
    takes_risk: bool

    @classmethod
    def of(cls, route: APIRoute) -> "Direct":
        """From the signature that FastAPI reads too: a request, a body, and maybe a risk."""
        hints = get_type_hints(route.endpoint, include_extras=True)
        takes_risk = "risk" in inspect.signature(route.endpoint).parameters
        reader, writer = (TypeAdapter(hints[name]) for name in ("body", "return"))
        return cls(route.endpoint, reader, writer, takes_risk)

    async def answer(self, request: Request) -> Response:
        """What the endpoint answers to a request.

        Raises:
            RequestValidationError: The body is not what the route reads.
            HTTPException: No reader of JSON takes it.
        """
        body = self._read(await request.body(), request.headers.get("content-type", ""))
        has_risk = self.takes_risk and request.scope["query_string"]
        given = {"risk": request.query_params.get("risk")} if has_risk else {}
        found = await self.endpoint(request, body, **given)
        return Response(self.writer.dump_json(found), media_type=JSON)

    def _read(self, content: bytes, content_type: str) -> Any:
        if not content:
            raise _unreadable({"loc": (), "msg": "Field required", "type": "missing"})
        if not _is_json(content_type):  # a page of another site may send other types
            raise _unreadable(
                {"loc": (), "msg": f"Content-Type should be {JSON}", "type": "content_type"}
            )
        try:
            return self.reader.validate_python(json.loads(content))
        except json.JSONDecodeError as error:
            found = {"loc": (error.pos,), "msg": "JSON decode error", "type": "json_invalid"}
            raise _unreadable(found) from error
        except ValidationError as error:
            raise _unreadable(*error.errors(include_url=False, include_input=False)) from error
        except (ValueError, RecursionError) as error:  # not UTF-8, too deep, too long a number
            raise HTTPException(400, "There was an error parsing the body") from error


class DirectRoutes:
    """Calls the routes that score; leaves all other requests to the framework."""

    def __init__(
        self, app: ASGIApp, routes: Iterable[BaseRoute], handlers: Mapping[type[Exception], Any]
    ) -> None:
        self._app = app
        self._routes = {
            route.path: Direct.of(route) for route in routes if isinstance(route, APIRoute)
        }
        self._handlers = handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_ours = scope["type"] == "http" and scope["method"] == "POST"
        route = self._routes.get(scope["path"]) if is_ours else None
        if route is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            response = await route.answer(request)
        except Exception as error:
            kinds = (kind for kind in type(error).__mro__ if kind in self._handlers)
            handle = self._handlers.get(next(kinds, Exception))
            if handle is None:
                raise
            response = await handle(request, error)
        await response(scope, receive, send)


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == JSON or (kind.startswith("application/") and kind.endswith("+json"))


def _unreadable(*errors: Any) -> RequestValidationError:
    return RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in errors])
