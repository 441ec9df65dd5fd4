"""Request bodies: taken as JSON, parsed strictly, checked against their model."""

from typing import Any, TypeVar

from litestar import Request
from pydantic import BaseModel

from backend.lib import strict_json
from backend.lib.problems import Problem

Model = TypeVar("Model", bound=BaseModel)
MAX_BYTES = 1024 * 1024
TOO_LARGE = "The body is larger than 1 MiB (1,048,576 bytes)."


async def raw_json(request: Request[Any, Any, Any]) -> bytes:
    """Read the body of a request that is declared as JSON.

    Raises:
        Problem: ``unsupported_media_type`` for another declared type, or a body that is compressed.
    """
    see_that_it_is_json(request)
    return await request.body()


def see_that_it_is_json(request: Request[Any, Any, Any]) -> None:
    """Look at what a body is declared as.

    Raises:
        Problem: ``unsupported_media_type`` for another declared type, or a body that is compressed.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        given = f"not {media_type[:80]!r}" if media_type else "which is missing"
        raise Problem("unsupported_media_type", f"The body must be sent as Content-Type: application/json, {given}.")
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        # RFC 9110, section 12.5.3: Accept-Encoding tells what would have been taken.
        detail = f"The body must be sent as it is, without Content-Encoding: {coding[:80]!r} is not read here."
        raise Problem("unsupported_media_type", detail, headers={"Accept-Encoding": "identity"})


async def read(request: Request[Any, Any, Any], model: type[Model]) -> Model:
    """Read a JSON body as ``model``.

    Raises:
        Problem: for a body of another type, malformed JSON, or faults against the model.
    """
    data = strict_json.parse(await raw_json(request))
    return strict_json.check(model, data)
