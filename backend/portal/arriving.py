"""What is looked at in every form before its handler: a ``before_request`` hook of the portal's pages."""

from typing import Any

from litestar import Request
from litestar.enums import RequestEncodingType

from backend.portal import once, security

_FORMS = (RequestEncodingType.URL_ENCODED.value, RequestEncodingType.MULTI_PART.value)


async def check_form(request: Request[Any, Any, Any]) -> None:
    """Refuse a form with text that cannot be kept, and one that was taken already.

    A handler whose option ``reads_form`` says that it reads the form itself calls ``check_fields``.

    Raises:
        Problem: ``invalid_request``.
        SentTwiceError: for the same form again.
    """
    is_form = request.headers.get("content-type", "").partition(";")[0].strip().lower() in _FORMS
    if is_form and not request.route_handler.opt.get("reads_form"):
        fields = list((await request.form()).multi_items())
        security.check_fields(fields)
        await once.take(request, fields)
