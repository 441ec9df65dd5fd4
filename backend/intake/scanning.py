"""Having the files of notifications looked through by a virus scanner, where one is set, before they are taken."""

import logging
import re
from collections.abc import Sequence

import msgspec

from backend.intake.content import Content, Submission
from backend.lib import clamd, settings
from backend.lib.clamd import ScannerFault
from backend.lib.problems import FieldError, Problem

logger = logging.getLogger(__name__)

# A letter of "attachments", of which all are U+0061 to U+0074, written as an escape.
_ESCAPED_LETTER = re.compile(rb"\\u00[67]")


def may_be_needed(submissions: Sequence[Submission]) -> bool:
    """Tell whether a scanner may have to be asked about these, which takes time; their names may be escaped."""
    if settings.current().scanner is None:
        return False
    return any(b'"attachments"' in one.raw or _ESCAPED_LETTER.search(one.raw) for one in submissions)


def scanned(content: Content) -> Content:
    """Return a notification as it is, or faulty where the scanner finds something in its files.

    Raises:
        Problem: ``unavailable`` if the scanner cannot tell.
    """
    place = settings.current().scanner
    if place is None or not content.attached.files or content.refusal is not None:
        return content
    try:
        found = {digest: clamd.found_in(place, file) for digest, file in content.attached.files.items()}
    except ScannerFault as fault:
        logger.warning("The virus scanner cannot tell whether a file is clean: %s", fault)
        detail = "The virus scanner cannot be asked at this moment; nothing was kept. Try again in 30 seconds."
        raise Problem("unavailable", detail, headers={"Retry-After": "30"}) from fault
    errors = [
        FieldError(
            f"/channels/{index}/attachments/{position}",
            "invalid_attachment",
            f"The virus scanner finds {found[file.sha256]} in {file.name}.",
        )
        for index, files in content.attached.channels.items()
        for position, file in enumerate(files)
        if found[file.sha256] is not None
    ]
    if not errors:
        return content
    detail = f"Nothing was sent: at {errors[0].pointer}: {errors[0].detail}"
    return msgspec.structs.replace(content, fault=Problem("invalid_attachment", detail, errors=errors))
