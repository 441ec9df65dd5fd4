"""The OpenAPI document: Litestar's own, completed by handlers' ``opt`` and by what every entry point answers.

A handler that reads its body itself names the model in ``opt["body"]`` (its media type, if it is not JSON, in
``opt["body_media_type"]``), and shared parameters in ``opt["parameters"]``; one that asks for an access token names the
scope in ``opt["scope"]``. Schemas are of ``openapi_schemas``, examples of ``openapi_examples``.
"""

from collections.abc import Iterator
from copy import deepcopy
from http import HTTPStatus
from inspect import cleandoc
from typing import Any

import msgspec
from litestar import Litestar, Response, Router
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.routes import HTTPRoute

from backend.api import openapi_responses
from backend.api import openapi_schemas as schemas
from backend.api.errors import ProblemAnswer
from backend.api.openapi_examples import example
from backend.channels import simulator
from backend.lib import settings
from backend.lib.release import VERSION

_DESCRIPTION = (
    "Carillon accepts notifications over one API, renders them with each team's templates and hands them to the "
    "channel's provider. Ask the token endpoint for an access token first (client credentials), then send it as a "
    "bearer token. Every refusal is an `application/problem+json` object whose `type` leads to the error catalogue."
    "\n\n## Simulator\n\nMessages to these addresses are sent to nobody, whatever the client's mode is, and what "
    f"becomes of them is known:\n\n{simulator.listed()}"
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
    ("/notifications/v1/matters", "Matters", "What several messages are about: all that was sent, and that it is over"),
    ("/notifications/v1/worklist", "Obligations", "What somebody has to answer for, and what nobody has"),
    ("/notifications/v1", "Notifications", "Send notifications and follow what became of them"),
    ("/registry/v1/recipients", "Recipients", "The groups that notifications are sent to"),
    ("/registry/v1/policies", "Policies", "Who is told when, until somebody answers"),
    ("/registry/v1/templates", "Templates", "The texts of messages, in versions"),
    ("/registry/v1/settings", "Settings", "The language and the layout of a service's messages"),
    ("/registry/v1/senders", "Senders", "What e-mails may come from, and where answers may go"),
    ("/registry/v1/callback", "Callbacks", "Hear of status changes, signed as Standard Webhooks"),
    ("/registry/v1/suppressions", "Suppressions", "Addresses that nothing is sent to any more"),
    ("/oauth", "Authorization", "OAuth 2.0: tokens, revocation, introspection and metadata"),
    ("/.well-known", "Authorization", "OAuth 2.0: tokens, revocation, introspection and metadata"),
    ("/", "Operations", "For those who run the installation"),
)
_READING_ORDER = (
    "Notifications",
    "Obligations",
    "Batches",
    "Matters",
    "Recipients",
    "Policies",
    "Templates",
    "Settings",
    "Senders",
    "Callbacks",
    "Suppressions",
    "Authorization",
    "Operations",
)

Document = dict[str, Any]


class _OwnPagesRouter(Router):
    """An empty router that stays empty: the framework would add documentation pages of its own to it."""

    def register(self, value: Any) -> list[Any]:  # noqa: ARG002 - the framework's signature
        return []


def config() -> OpenAPIConfig:
    """Return what the application needs to describe itself; the pages that show it are ours."""
    return OpenAPIConfig(
        title="Carillon",
        version=VERSION,
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
    document["info"] |= {
        "description": _DESCRIPTION,
        # Who answers for the API, and on what terms, is for those to say who run an installation.
        "contact": {"name": "The team that runs this installation", "url": f"{base_url}/portal"},
        "license": {"name": "Terms of this installation", "url": f"{base_url}/portal"},
    }
    document["servers"] = [{"url": base_url}]
    models: list[schemas.Model] = [ProblemAnswer]
    for path, method, handler in _handlers(app):
        operation = document.get("paths", {}).get(path, {}).get(method.lower())
        if operation is not None:
            models += _complete(operation, path, handler)
    document["components"] = {
        "schemas": schemas.describe(models),
        **openapi_responses.components(),
        "securitySchemes": _security_schemes(base_url),
    }
    document["tags"] = _tags(document)
    document["paths"] = dict(sorted(document.get("paths", {}).items()))
    _tidy(document)
    return document


def _handlers(app: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for method, (handler, _model) in route.route_handler_map.items():
                yield route.path_format or "/", str(method), handler


def _complete(operation: Document, path: str, handler: HTTPRouteHandler) -> list[schemas.Model]:
    """Complete the description of one operation; return the models of its body and its answers."""
    body, scope = handler.opt.get("body"), handler.opt.get("scope")
    answers = _answers(handler)
    responses = operation["responses"]
    for status, response in responses.items():
        model = answers.get(status)
        if model is ProblemAnswer or _is_framework_fault(response):
            responses[status] = openapi_responses.refusal(status)
        else:
            _describe_answer(response, status, model, limited=scope is not None)
    guarded = ("401", "403", "429") if scope is not None else ()
    for status in (*guarded, *(("400", "413", "415") if guarded and body is not None else ()), "default"):
        responses.setdefault(status, openapi_responses.refusal(status))
    if body is not None:
        media_type = handler.opt.get("body_media_type", "application/json")
        operation["requestBody"] = {"required": True, "content": {media_type: _content(body)}}
    operation["security"] = [{"oauth2": [scope]}] if scope is not None else []
    del operation["deprecated"]
    operation.setdefault("tags", [next(tag for prefix, tag, _ in _TAGS if path.startswith(prefix))])
    operation["parameters"] = [_parameter(one) for one in operation.get("parameters", [])]
    operation["parameters"] += [openapi_responses.parameter(name) for name in handler.opt.get("parameters", ())]
    return [model for model in (body, *answers.values()) if model is not None]


def _answers(handler: HTTPRouteHandler) -> dict[str, type[msgspec.Struct] | None]:
    """Return what each status is answered with; None is an empty body."""
    returned = handler.parsed_fn_signature.return_type
    own = returned.inner_types[0] if returned.is_subclass_of(Response) else returned
    answers = {str(handler.status_code): own.annotation if own.is_subclass_of(msgspec.Struct) else None}
    return answers | {str(status): spec.data_container for status, spec in (handler.responses or {}).items()}


def _describe_answer(response: Document, status: str, model: type[msgspec.Struct] | None, *, limited: bool) -> None:
    if response.get("description") == HTTPStatus(int(status)).description:
        response["description"] = _ANSWERS[status]
    if model is not None:
        response["content"] = {"application/json": _content(model, status)}
    response["headers"] = openapi_responses.headers() if limited else {}
    if status in {"429", "503"}:
        response["headers"] |= openapi_responses.headers("Retry-After")
    if not response["headers"]:
        del response["headers"]


def _content(model: schemas.Model, status: str = "") -> Document:
    """Refer to a model, with its example where there is one."""
    shown = example(schemas.name(model), status)
    return {"schema": schemas.reference(model)} | ({} if shown is None else {"example": shown})


def _is_framework_fault(response: Document) -> bool:
    """Tell whether a response is the framework's own error object, which this application never answers with."""
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    return {"status_code", "detail"}.issubset(schema.get("properties", {}))


def _parameter(given: Document) -> Document:
    """Write a parameter without what goes without saying: one that may be left out is never sent as null."""
    schema = {keyword: value for keyword, value in given["schema"].items() if keyword != "description"}
    for one in schema.pop("oneOf", []):
        schema |= one if one != {"type": "null"} else {}
    if isinstance(schema.get("type"), list):
        (schema["type"],) = [kind for kind in schema["type"] if kind != "null"]
    if "enum" in schema:
        schema["enum"] = [word for word in schema["enum"] if word is not None]
    for limit in schema.keys() & {"minimum", "maximum"}:
        schema[limit] = int(schema[limit])
    kept = {name: given[name] for name in ("name", "in", "description", "required")}
    return {**kept, "schema": schema}


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
