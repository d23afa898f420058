"""The HTTP interface of one lab: its calls, the description that FastAPI makes of them, and a page that shows it."""

from __future__ import annotations

import json
import shlex
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from editlab.lab import Lab
from editlab.web.api.edits import add_edits
from editlab.web.api.openai import ERRORS, add_openai
from editlab.web.api.routes import Api, ApiRoute
from editlab.web.core.place import root_of

TITLE = "EditLab's HTTP interface"
ABOUT = "Ask views of a model, and edit it. Each view of a workspace is a model by a name: GET /v1/models lists yours."
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
}
TEMPLATES = Environment(
    loader=PackageLoader("editlab.web.api", "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


def create_api(lab: Lab) -> Api:
    """Return the calls of a lab."""
    router = APIRouter(route_class=ApiRoute, responses=ERRORS)
    add_openai(router, lab)
    add_edits(router, lab)
    return Api(router)


def add_api(app: FastAPI, lab: Lab, api: Api, tokens: bool) -> None:
    """Add the calls to an app, and the pages that describe them; `tokens`: whether a call needs one."""
    app.include_router(api.router)
    described = describe(api, tokens)

    @app.get("/openapi.json", include_in_schema=False)
    def schema(request: Request) -> Response:
        below = root_of(request)
        return JSONResponse(described | ({"servers": [{"url": below}]} if below else {}))

    @app.get("/docs", include_in_schema=False)
    def page(request: Request) -> Response:
        calls = [
            (method.upper(), path, call, _fields(described, call))
            for path, methods in described["paths"].items()
            for method, call in methods.items()
        ]
        here = f"{request.url.scheme}://{request.headers['host']}{root_of(request)}"
        example = {"model": lab.loaded.name, "prompt": "The capital of Japan is", "max_tokens": 5}
        text = TEMPLATES.get_template("docs.html").render(
            title=TITLE,
            about=ABOUT,
            calls=calls,
            tokens=tokens,
            here=here,
            example=shlex.quote(json.dumps(example, ensure_ascii=False)),
        )
        return HTMLResponse(text, headers=HEADERS)


def describe(api: Api, tokens: bool) -> dict[str, Any]:
    """Return the OpenAPI document of the calls."""
    found = get_openapi(title=TITLE, version="1", description=ABOUT, routes=api.router.routes)
    for methods in found["paths"].values():
        for call in methods.values():
            call["responses"].pop("422", None)  # a call that does not fit gets 400, as OpenAI answers it
    for unused in ("HTTPValidationError", "ValidationError"):
        found["components"]["schemas"].pop(unused, None)
    if tokens:
        found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"token": []}]
    return found


def _fields(described: dict[str, Any], call: dict[str, Any]) -> list[tuple[str, str, bool, str]]:
    """Return the name, the type, whether it is needed, and the meaning of each field of a call."""
    given = [(one["name"], one["schema"], one["required"], one.get("description", "")) for one in call.get("parameters", ())]
    body = call.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    form = described["components"]["schemas"].get(body.get("$ref", "").rpartition("/")[2], {})
    needed = form.get("required", ())
    given += [(name, one, name in needed, one.get("description", "")) for name, one in form.get("properties", {}).items()]
    return [(name, _type(schema), needed, text) for name, schema, needed, text in given]


def _type(schema: dict[str, Any]) -> str:
    """Return the type of a field in a few words."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(one) for one in schema["anyOf"] if one.get("type") != "null"))
    if "enum" in schema:
        return ", ".join(json.dumps(value) for value in schema["enum"])
    if "const" in schema:
        return json.dumps(schema["const"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    return schema.get("type") or schema.get("$ref", "object").rpartition("/")[2]
