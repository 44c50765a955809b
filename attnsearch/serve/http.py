"""Addresses → answers: the page at `/`, the API at `/v1`, agents at `/mcp`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from starlette.responses import Response

from attnsearch import __version__
from attnsearch.errors import AttnsearchError
from attnsearch.output.safe_text import to_json
from attnsearch.serve import answers, failures, page
from attnsearch.serve.catalogs import Catalogs
from attnsearch.serve.guard import Access, Guard
from attnsearch.serve.wire import QueryRequest

Asked = TypeVar("Asked")


def make_app(catalogs: Catalogs, access: Access | None = None, **options: Any) -> FastAPI:
    """The application of ASGI that serves these catalogs to those who have `access`; `options` are those of `Guard`."""
    app = FastAPI(title="attnsearch", version=__version__, docs_url=None, redoc_url=None)
    access = access or Access()
    app.add_middleware(Guard, access=access, **options)
    app.router.routes += page.routes("" if access.token else access.page_token)

    async def answer(function: Callable[[Catalogs, Asked], Any], request: Asked) -> Response:
        return _json(await asyncio.to_thread(function, catalogs, request))

    @app.exception_handler(AttnsearchError)
    async def fail(_: Request, problem: AttnsearchError) -> Response:
        return _json(failures.as_json(problem), failures.status_of(problem))

    @app.post("/v1/query")
    async def query(request: QueryRequest) -> Response:
        return await answer(answers.answer_query, request)

    return app


def _json(value: Any, status: int = 200) -> Response:
    return Response(to_json(value), status, media_type="application/json")
