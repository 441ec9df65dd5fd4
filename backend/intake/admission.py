"""The way into intake for those who wait for the answer: in groups, and fair between services."""

import asyncio
from collections.abc import Sequence

from backend.intake import scanning
from backend.intake.accept import Wake, accept_group
from backend.intake.content import Submission
from backend.intake.entries import Done, Entry, Job, Later
from backend.intake.outcomes import IntakeResult
from backend.lib.fair_pool import Busy, FairPool, Limits, Overspent, Share, Watch
from backend.lib.micro_batcher import MicroBatcher
from backend.lib.problems import Problem
from backend.rendering import acceptance
from backend.rendering.model import Rendered

# To read a longer body takes long enough to be done outside of the group, which waits for it.
_SHORT_BODY = 32 * 1024
# A notification for many recipients may join a batch of each.
_JOBS_AT_ONCE = 16


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
        scan = scanning.may_be_needed(submissions)
        if scan or sum(len(one.raw) for one in submissions) > _SHORT_BODY:
            await self._read(entries)
        if scan:
            for entry, content in zip(entries, await scanning.scanned([one.read() for one in entries]), strict=True):
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
