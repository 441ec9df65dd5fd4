"""The OpenAPI document: Litestar's own, completed by what handlers say in ``opt`` and by what every door answers.

A handler that reads its body itself names the pydantic model in ``opt["body"]`` (its media type, if it is not JSON,
in ``opt["body_media_type"]``); one that asks for an access token names the scope in ``opt["scope"]``.
"""

from collections.abc import Iterator
from copy import deepcopy
from http import HTTPStatus
from importlib.metadata import version
from inspect import cleandoc
from typing import Any

import msgspec
from litestar import Litestar, Router
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.routes import HTTPRoute
from pydantic import BaseModel

from backend.lib import settings
from backend.lib.problems import MEDIA_TYPE, ProblemDetails

_DESCRIPTION = (
    "Carillon accepts notifications over one API, renders them with each team's templates and hands them to the "
    "channel's provider. Ask the token endpoint for an access token first (client credentials), then send it as a "
    "bearer token. Every refusal is an `application/problem+json` object whose `type` leads to the error catalogue."
)
_SCOPES = {
    "notifications:send": "Send notifications and act on open batches",
    "notifications:read": "Read notifications and open batches",
    "registry:read": "Read recipients, templates, callbacks and suppressed addresses",
    "registry:write": "Change recipients, templates, callbacks and suppressed addresses",
}
# Where a handler says nothing of its answer, the framework would put words of Python's library.
_ANSWERS = {"200": "Done", "201": "Created", "202": "Accepted", "204": "Done; the answer has no body"}
# The first prefix that fits gives an operation its tag, where the handler names none.
_TAGS = (
    ("/notifications/v1/aggregators", "Batches", "Open batches: look into them, flush, hold and release them"),
    ("/notifications/v1", "Notifications", "Send notifications and follow what became of them"),
    ("/registry/v1/recipients", "Recipients", "The groups that notifications are sent to"),
    ("/registry/v1/templates", "Templates", "The texts of messages, in versions"),
    ("/registry/v1/settings", "Settings", "The language and the layout of a service's messages"),
    ("/registry/v1/callback", "Callbacks", "Hear of status changes, signed as Standard Webhooks"),
    ("/registry/v1/suppressions", "Suppressions", "Addresses that nothing is sent to any more"),
    ("/oauth", "Authorization", "OAuth 2.0: tokens, revocation, introspection and metadata"),
    ("/.well-known", "Authorization", "OAuth 2.0: tokens, revocation, introspection and metadata"),
    ("/", "Operations", "For those who run the installation"),
)
_READING_ORDER = (
    "Notifications",
    "Batches",
    "Recipients",
    "Templates",
    "Settings",
    "Callbacks",
    "Suppressions",
    "Authorization",
    "Operations",
)
_REFERENCE = "#/components/schemas/"
_PROBLEM = {"$ref": "#/components/responses/Problem"}

Document = dict[str, Any]


class _OwnPagesRouter(Router):
    """An empty router that stays empty: the framework would add documentation pages of its own to it."""

    def register(self, value: Any) -> list[Any]:  # noqa: ARG002 - the framework's signature
        return []


def config() -> OpenAPIConfig:
    """Return what the application needs to describe itself; the pages that show it are ours."""
    return OpenAPIConfig(
        title="Carillon",
        version=version("carillon"),
        render_plugins=[JsonRenderPlugin()],
        openapi_router=_OwnPagesRouter("/docs", route_handlers=[]),
        use_handler_docstrings=True,
    )


def create_document(app: Litestar) -> Document:
    """Return the OpenAPI 3.1 document of the application.

    Raises:
        ValueError: if two different models have the same name.
    """
    document: Document = deepcopy(app.openapi_schema.to_schema())
    base_url = settings.current().base_url
    document["info"]["description"] = _DESCRIPTION
    document["servers"] = [{"url": base_url}]
    components = document.setdefault("components", {})
    components["securitySchemes"] = _security_schemes(base_url)
    components["responses"] = {"Problem": _problem_response()}
    schemas = components.setdefault("schemas", {})
    _add_schemas(schemas, _problem_schemas(), replace=True)
    for path, method, handler in _handlers(app):
        operation = document.get("paths", {}).get(path, {}).get(method.lower())
        if operation is not None:
            _complete(operation, path, handler, schemas)
    document["tags"] = _tags(document)
    document["paths"] = dict(sorted(document.get("paths", {}).items()))
    _tidy(document)
    return document


def _handlers(app: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for method, (handler, _model) in route.route_handler_map.items():
                yield route.path_format or "/", str(method), handler


def _complete(operation: Document, path: str, handler: HTTPRouteHandler, schemas: Document) -> None:
    body, scope = handler.opt.get("body"), handler.opt.get("scope")
    responses = operation.setdefault("responses", {})
    for status, response in responses.items():
        if _is_framework_fault(response):
            responses[status] = _PROBLEM
        elif response.get("description") == HTTPStatus(int(status)).description:
            response["description"] = _ANSWERS[status]
    if body is not None:
        media_type = handler.opt.get("body_media_type", "application/json")
        operation["requestBody"] = {"required": True, "content": {media_type: {"schema": _body(body, schemas)}}}
    if scope is not None:
        operation["security"] = [{"oauth2": [scope]}]
    expected = (["400", "413", "415"] if body is not None else []) + (["401", "403"] if scope is not None else [])
    for status in [*expected, "default"]:
        responses.setdefault(status, _PROBLEM)
    operation.setdefault("tags", [next(tag for prefix, tag, _ in _TAGS if path.startswith(prefix))])


def _is_framework_fault(response: Document) -> bool:
    """Tell whether a response is the framework's own error object, which this application never answers with."""
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    return {"status_code", "detail"}.issubset(schema.get("properties", {}))


def _body(model: type[BaseModel], schemas: Document) -> Document:
    """Put the model's JSON Schema among the components and return the reference to it."""
    schema = model.model_json_schema(ref_template=_REFERENCE + "{model}")
    _add_schemas(schemas, {**schema.pop("$defs", {}), model.__name__: schema}, replace=False)
    return {"$ref": _REFERENCE + model.__name__}


def _add_schemas(schemas: Document, more: Document, *, replace: bool) -> None:
    for name, schema in more.items():
        if not replace and schemas.get(name, schema) != schema:
            raise ValueError(f"Two different models of the OpenAPI document are both named {name}.")
        schemas[name] = schema


def _problem_schemas() -> Document:
    _, schemas = msgspec.json.schema_components([ProblemDetails], ref_template=_REFERENCE + "{name}")
    return dict(schemas)


def _problem_response() -> Document:
    return {
        "description": "The request was refused; `type` leads to the entry of the error catalogue",
        "content": {MEDIA_TYPE: {"schema": {"$ref": f"{_REFERENCE}ProblemDetails"}}},
    }


def _security_schemes(base_url: str) -> Document:
    flow = {"tokenUrl": f"{base_url}/oauth/token", "scopes": _SCOPES}
    return {
        "oauth2": {
            "type": "oauth2",
            "description": (
                "OAuth 2.0 client credentials; the token endpoint takes the API client's id and secret, or an "
                "assertion signed with the client's own key (private_key_jwt)."
            ),
            "flows": {"clientCredentials": flow},
        }
    }


def _tags(document: Document) -> list[Document]:
    """List the tags in use, in the order in which a reader needs them."""
    used = {
        tag for item in document.get("paths", {}).values() for operation in item.values() for tag in _own(operation)
    }
    described = {tag: description for _, tag, description in _TAGS}
    known = {tag: described[tag] for tag in sorted(described, key=_READING_ORDER.index)}
    rest = [{"name": tag} for tag in sorted(used - known.keys())]
    return [{"name": tag, "description": text} for tag, text in known.items() if tag in used] + rest


def _tidy(part: Any) -> None:
    """Write every description, most of which are docstrings, without their indentation and in Markdown."""
    for member in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        _tidy(member)
    if isinstance(part, dict) and isinstance(part.get("description"), str):
        part["description"] = cleandoc(part["description"]).replace("``", "`")


def _own(operation: Any) -> list[str]:
    return operation.get("tags", []) if isinstance(operation, dict) else []
