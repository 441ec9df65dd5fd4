"""The way into intake for those who wait for the answer: in groups, and fair between services."""

import asyncio
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import msgspec

from backend.intake.accept import Wake, accept_group
from backend.intake.content import Content, Submission
from backend.intake.entries import Done, Entry, IntakeResult, Job, Later
from backend.lib import clamd, settings
from backend.lib.clamd import ScannerFault
from backend.lib.fair_pool import Busy, FairPool, Limits, Overspent, Share, Watch
from backend.lib.micro_batcher import MicroBatcher
from backend.lib.problems import FieldError, Problem
from backend.rendering import acceptance
from backend.rendering.model import Rendered

logger = logging.getLogger(__name__)
# A letter of "attachments", of which all are U+0061 to U+0074, written as an escape.
_ESCAPED_LETTER = re.compile(rb"\\u00[67]")
# To read a longer body takes long enough to be done outside of the group, which waits for it.
_SHORT_BODY = 32 * 1024
# A notification for many recipients may join a batch of each.
_JOBS_AT_ONCE = 16


# Having the files of notifications looked through by a virus scanner, where one is set, before they are taken.


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


class Admission:
    """This process's way into intake: requests that wait are accepted together, in one transaction."""

    def __init__(self, wake: Wake) -> None:
        self._groups: MicroBatcher[Entry, IntakeResult | Later] = MicroBatcher(
            lambda group: accept_group(group, wake), name="intake"
        )
        self._readers = FairPool("read", Limits(threads=2, waiting=1_000, capacity=10_000, patience=60.0))

    async def submit(self, submission: Submission) -> IntakeResult:
        """Return what became of a submission."""
        (outcome,) = await self.submit_all([submission])
        return outcome

    async def submit_all(self, submissions: Sequence[Submission]) -> list[IntakeResult]:
        """Return what became of submissions that came together."""
        caller = object()
        entries = [Entry(submission=one, caller=caller) for one in submissions]
        scan = may_be_needed(submissions)
        if scan or sum(len(one.raw) for one in submissions) > _SHORT_BODY:
            await self._read(entries)
        if scan:
            for entry, content in zip(entries, await scanned([one.read() for one in entries]), strict=True):
                entry.content = content
        answers = await self._groups.submit_all(entries)
        outcomes = [answer for answer in answers if not isinstance(answer, Later)]
        return outcomes if len(outcomes) == len(answers) else await self._finished(entries, list(answers))

    async def _finished(self, entries: Sequence[Entry], answers: list[IntakeResult | Later]) -> list[IntakeResult]:
        """Let those that come later join groups until all have their outcome."""
        while late := {position: answer for position, answer in enumerate(answers) if isinstance(answer, Later)}:
            await asyncio.gather(*(_render(entries[position], one) for position, one in late.items() if one.jobs))
            again = await self._groups.submit_all([entries[position] for position in late])
            for position, answer in zip(late, again, strict=True):
                answers[position] = answer
        return [answer for answer in answers if not isinstance(answer, Later)]

    async def _read(self, entries: Sequence[Entry]) -> None:
        def work(_watch: Watch) -> None:
            for entry in entries:
                entry.read()

        try:
            await asyncio.wrap_future(self._readers.submit(Share(entries[0].submission.service_id), work))
        except (Overspent, Busy):
            detail = "Many long requests are being read at this moment; nothing was kept. Try again in 5 seconds."
            raise Problem("unavailable", detail, headers={"Retry-After": "5"}) from None


async def _render(entry: Entry, late: Later) -> None:
    """Render what a notification waits for, each job when its service has its turn, and few of them at once."""
    some = asyncio.Semaphore(_JOBS_AT_ONCE)

    async def rendered(job: Job) -> Rendered | Problem:
        async with some:
            return await _rendered(job, entry.share)

    made = await asyncio.gather(*map(rendered, late.jobs.values()))
    done = {position: Done(job, result) for (position, job), result in zip(late.jobs.items(), made, strict=True)}
    entry.done = entry.done | done


async def _rendered(job: Job, share: Share) -> Rendered | Problem:
    try:
        future = acceptance.begin(job, share)
    except Problem as problem:
        return problem
    answer = asyncio.wrap_future(future)
    await asyncio.wait([answer], timeout=acceptance.patience())
    if not answer.done() and future.cancel():
        return acceptance.too_long(share)
    return await answer
