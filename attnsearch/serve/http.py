"""Addresses → answers: the page at `/`, the API at `/v1`, agents at `/mcp`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, FastAPI, HTTPException, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException as Refused
from starlette.responses import Response
from starlette.routing import Route

from attnsearch import __version__
from attnsearch.agents.server import Endpoint
from attnsearch.errors import AttnsearchError, InputError
from attnsearch.output.safe_text import to_json
from attnsearch.serve import answers, failures, page
from attnsearch.serve.catalogs import Catalogs
from attnsearch.serve.guard import Access, Guard, note
from attnsearch.storage.failures import ChangedError
from attnsearch.syntax import strict_json
from attnsearch.syntax.nearest import find_nearest
from attnsearch.wire.catalogs import CatalogSummary, Health, Item, Judgments, Problem
from attnsearch.wire.mistakes import refuse, spell_names
from attnsearch.wire.requests import (
    ExplainRequest,
    FeedbackRequest,
    HeatmapRequest,
    ItemRequest,
    LikeRequest,
    Name,
    QueryRequest,
)
from attnsearch.wire.results import Explanation, Heatmap, Result

Asked = TypeVar("Asked")

_SHOWN = 60  # characters of a name, in a message
_UTF8 = re.compile(r"(?i)[^;]*(;\s*charset\s*=\s*\"?utf-?8\"?\s*)?")
REFUSALS = {
    400: "a mistake in the request: the message names the parameter, and says what it may be",
    401: "no token, or a wrong one",
    403: "a Host or an Origin that is not ours, or a page of another site that asks",
    404: "no such catalog, item or address",
    405: "a method that the address does not take",
    408: "a request that does not arrive in time",
    413: "a body that is too large",
    415: "a body that is not JSON in UTF-8",
    429: "too many requests at once; `Retry-After` says after how many seconds to ask again",
    431: "headers and parameters that are too large",
    500: "a fault of attnsearch",
    503: "a catalog that is damaged or busy, a model that is missing, or an answer that takes too long",
}


class _Refusal(HTTPException):
    """An error of ours in the form that FastAPI passes on while it reads a body."""

    def __init__(self, problem: AttnsearchError, status: int) -> None:
        super().__init__(status)
        self.problem = problem


class _Request(Request):
    """A request whose JSON can be read in only one way: no key is there twice, and every number is finite."""

    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            if not _UTF8.fullmatch(self.headers.get("content-type", "")):
                raise _Refusal(InputError("the body is not JSON in UTF-8"), 415)
            try:
                text = (await self.body()).decode("utf-8-sig")
                self._json = strict_json.parse_line(text, where="the request")
            except UnicodeDecodeError:
                raise _Refusal(InputError("the body is not UTF-8"), 400) from None
            except InputError as problem:
                raise _Refusal(problem, 400) from None
        return self._json


class _Route(APIRoute):
    """An address that refuses unknown parameters, and says which there are."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        handle = super().get_route_handler()
        names = [field.alias for field in self.dependant.query_params]  # of the address
        kind: Any = self.body_field.field_info.annotation if self.body_field else ItemRequest

        async def checked(request: Request) -> Response:
            _check_parameters(request, names)
            try:
                return await handle(_Request(request.scope, request.receive))
            except RequestValidationError as problem:
                errors = [{**error, "loc": error["loc"][1:]} for error in problem.errors()]
                raise refuse(kind, errors) from None

        return checked


def make_app(
    catalogs: Catalogs,
    access: Access | None = None,
    *,
    log: Callable[[str], None] = lambda _: None,
    log_queries: bool = False,
) -> FastAPI:
    """The application of ASGI that serves these catalogs to those who have `access`.

    `log` gets a line for each request, with the text of the query only if `log_queries`.
    """
    access = access or Access()
    servers = [{"url": access.prefix}] if access.prefix else None
    app = FastAPI(title="attnsearch", version=__version__, openapi_url=None, redirect_slashes=False, servers=servers,
                  generate_unique_id_function=lambda route: route.name)  # fmt: skip
    app.add_middleware(Guard, access=access, log=log, log_queries=log_queries)
    app.add_exception_handler(AttnsearchError, _fail)
    app.add_exception_handler(Refused, _refuse)
    app.router.routes += page.routes("" if access.token else access.page_token)
    app.include_router(_api(catalogs))
    app.router.routes.append(Route("/mcp", Endpoint(catalogs, failures.as_json, note), include_in_schema=False))
    return app


def _api(catalogs: Catalogs) -> APIRouter:
    refusals: dict[int | str, dict[str, Any]] = {
        status: {"model": Problem, "description": says} for status, says in REFUSALS.items()
    }
    api = APIRouter(route_class=_Route, redirect_slashes=False, responses=refusals)

    async def answer(function: Callable[[Catalogs, Asked], Any], asked: Asked) -> Response:
        texts = getattr(asked, "queries", None) or [getattr(asked, "query", "")]
        names = getattr(asked, "catalogs", None) or filter(None, [getattr(asked, "catalog", None)])
        note([*names], "; ".join(texts))

        def compute() -> str:
            try:
                return to_json(function(catalogs, asked))
            except ChangedError:  # a commit removed a segment before a worker had it; now the new state is asked
                return to_json(function(catalogs, asked))

        return _send(await asyncio.to_thread(compute))

    def post(path: str, function: Callable[[Catalogs, Asked], Any], kind: Any, result: Any, says: str) -> None:
        async def endpoint(asked: Asked) -> Response:
            return await answer(function, asked)

        endpoint.__annotations__["asked"] = kind
        api.post(path, response_model=result, name=path.rpartition("/")[2], summary=says)(endpoint)

    post("/v1/query", answers.answer_query, QueryRequest, Result, "What fits a text")
    post("/v1/like", answers.answer_like, LikeRequest, Result, "What is like some items")
    post("/v1/explain", answers.answer_explain, ExplainRequest, Explanation, "Why an item has its logit")
    post("/v1/heatmap", answers.answer_heatmap, HeatmapRequest, Heatmap, "The attention of several requests")
    post("/v1/feedback", answers.answer_feedback, FeedbackRequest, Judgments, "Which items are right or wrong")

    @api.get("/v1/catalogs", response_model=list[CatalogSummary], summary="The catalogs that may be asked")
    async def list_catalogs() -> Response:
        return _send(await asyncio.to_thread(lambda: to_json(answers.list_catalogs(catalogs))))

    @api.get("/v1/items/{item:path}", response_model=Item, summary="All that a catalog has of an item")
    async def show_item(
        item: Annotated[Name, Path(description="its id or title")],
        catalog: Annotated[Name | None, Query(description="the name of its catalog; the default one")] = None,
    ) -> Response:
        return await answer(answers.show_item, ItemRequest(item=item, catalog=catalog))

    @api.get("/health", response_model=Health, summary="That the server answers")
    async def health() -> Response:
        return _send(to_json({"status": "ok"}))

    api.get("/openapi.json", include_in_schema=False)(_describe)
    return api


async def _describe(request: Request) -> Response:
    """The addresses, their requests and answers, as OpenAPI describes them."""
    app: FastAPI = request.app
    if app.openapi_schema is None:
        description = app.openapi()
        security = {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}}
        description["components"] |= security
        for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own error, which is not ours
            del description["components"]["schemas"][name]
        for path, methods in description["paths"].items():
            for operation in methods.values():
                operation["responses"].pop("422", None)
                operation["security"] = [{}, {"token": []}] if path.startswith("/v1/") else []
    return _send(to_json(app.openapi_schema))


async def _fail(_: Request, problem: Any) -> Response:
    """The answer to an error of ours."""
    return _send(to_json(failures.as_json(problem)), failures.status_of(problem))


async def _refuse(_: Request, problem: Any) -> Response:
    """The answer to what is refused before any of our code runs, and to a body that is not JSON."""
    reason = problem.problem if isinstance(problem, _Refusal) else failures.of_status(problem.status_code)
    return _send(to_json(failures.as_json(reason)), problem.status_code, problem.headers)


def _check_parameters(request: Request, names: Sequence[str]) -> None:
    """Raise InputError for a parameter that the address does not have, or that is there twice."""
    for name in request.query_params:
        if name not in names:
            near = find_nearest(name, names)
            has = f"it has {spell_names(names) or 'none'}"
            hint = f"did you mean '{near[0]}'?" if near else has
            if request.method == "POST":
                hint = f"{has}; parameters are in the body"
            raise InputError(f"no parameter '{name[:_SHOWN]}' in this address", hint=hint)
        if len(request.query_params.getlist(name)) > 1:
            raise InputError(f"'{name}' is there twice", hint="say it once")


def _send(text: str, status: int = 200, headers: Any = None) -> Response:
    return Response(text, status, headers, media_type="application/json")
