"""Having the files of notifications looked through by a virus scanner, where one is set, before they are taken."""

import asyncio
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import msgspec

from backend.intake.content import Content, Submission
from backend.lib import clamd, settings
from backend.lib.clamd import ScannerFault
from backend.lib.fair_pool import Busy, FairPool, Limits, Overspent, Share, Watch
from backend.lib.problems import FieldError, Problem

logger = logging.getLogger(__name__)

# A letter of "attachments", of which all are U+0061 to U+0074, written as an escape.
_ESCAPED_LETTER = re.compile(rb"\\u00[67]")


def may_be_needed(submissions: Sequence[Submission]) -> bool:
    """Tell whether a scanner may have to be asked about these, which takes time; their names may be escaped."""
    if settings.current().scanner is None:
        return False
    return any(b'"attachments"' in one.raw or _ESCAPED_LETTER.search(one.raw) for one in submissions)


async def scanned(contents: Sequence[Content]) -> list[Content]:
    """Return notifications of one service as they are, or faulty where the scanner finds something in their files.

    Raises:
        Problem: ``unavailable`` if the scanner cannot tell, or too much waits for it.
    """
    if not any(content.attached.files for content in contents):
        return list(contents)

    def work(_watch: Watch) -> list[Content]:
        return [_scanned(content) for content in contents]

    try:
        return await asyncio.wrap_future(_threads().submit(Share(contents[0].service_id), work))
    except (Overspent, Busy):
        detail = "Many files wait for the virus scanner at this moment; nothing was kept. Try again in 30 seconds."
        raise Problem("unavailable", detail, headers={"Retry-After": "30"}) from None


@lru_cache(maxsize=1)
def _threads() -> FairPool:
    """Return threads of their own: a scanner that takes its time keeps nothing waiting but files."""
    return FairPool("scan", Limits(threads=4, waiting=100, capacity=1_000, patience=60.0))


def _scanned(content: Content) -> Content:
    address = settings.current().scanner
    if address is None or not content.attached.files or content.refusal is not None:
        return content
    try:
        found = {digest: clamd.found_in(address, file) for digest, file in content.attached.files.items()}
    except ScannerFault as fault:
        logger.warning("The virus scanner cannot tell whether a file is clean: %s", fault)
        detail = "The virus scanner cannot be asked at this moment; nothing was kept. Try again in 30 seconds."
        raise Problem("unavailable", detail, headers={"Retry-After": "30"}) from fault
    errors = list(_infected(content, found))
    if not errors:
        return content
    detail = f"Nothing was sent: at {errors[0].pointer}: {errors[0].detail}"
    return msgspec.structs.replace(content, fault=Problem("invalid_attachment", detail, errors=errors))


def _infected(content: Content, found: Mapping[str, str | None]) -> Iterator[FieldError]:
    """Tell of each file in which something was found, those that go as links among them, at its place."""
    assert content.notification is not None  # noqa: S101 - what has files is a notification
    attached = content.attached
    for index, channel in enumerate(content.notification.channels):
        named = [*attached.channels.get(index, ()), *attached.linked.get(index, ())]
        digests = {file.name: file.sha256 for file in named}
        for position, given in enumerate(channel.attachments):
            virus = found[digests[given.name]]
            if virus is not None:
                detail = f"The virus scanner finds {virus} in {given.name}."
                yield FieldError(f"/channels/{index}/attachments/{position}", "invalid_attachment", detail)
