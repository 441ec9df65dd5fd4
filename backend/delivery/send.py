"""Sending: claim a few, render them together, hand each over, mark each before the next leaves."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from backend.channels.base import Message, Outcome, Provider, ProviderError
from backend.db import session as db
from backend.delivery import claims, compose, record, routes, watch
from backend.delivery.claims import Claim
from backend.delivery.record import OUTBOX, Result
from backend.lib import metrics
from backend.registry import lookup

logger = logging.getLogger(__name__)

CHUNK = 20
_connections = routes.Connections()


class Hand:
    """One worker process's part in sending: its name on claims, and whether it has been asked to stop.

    ``holding`` are the deliveries that its threads have at this moment; what bears its name otherwise was dropped.
    """

    def __init__(self, worker: str, stopping: Callable[[], bool] | None = None) -> None:
        self.worker = worker
        self.stopping = stopping or (lambda: False)
        self.holding: set[int] = set()

    def send_some(self, *, high_only: bool = False, limit: int = CHUNK) -> int:
        """Send up to ``limit`` due deliveries; return how many were claimed."""
        taken: list[Claim] = []
        try:
            with metrics.timed("claim") as step, db.current().write() as session:
                taken = claims.claim(session, self.worker, limit=limit, high_only=high_only)
                step.size = len(taken)
                self.holding.update(claim.id for claim in taken)  # before others can see them as dropped
            if taken:
                self._send(taken)
        finally:
            self.holding.difference_update(claim.id for claim in taken)
        return len(taken)

    def _send(self, taken: Sequence[Claim]) -> None:
        with db.current().read() as session:
            versions = lookup.versions(session, {claim.template_version_id for claim in taken})
        marked: list[Result] = []
        inside: list[Result] = []
        down: dict[str, str] = {}
        messages = compose.compose(taken, versions, _batch_fields)
        with db.current().single_statements() as run:
            for position, (claim, made) in enumerate(zip(taken, messages, strict=True)):
                if self.stopping():
                    self._release(taken[position:])
                    break
                providers = routes.routes()[claim.channel]
                if isinstance(made, Result):
                    inside.append(made)
                elif not providers:
                    inside.append(_to_outbox(claim, made))
                elif record.mark(run, result := hand_over(claim, made, providers, down), self.worker):
                    marked.append(result)
        with db.current().write() as session:
            record.finish(session, marked, inside, self.worker)
        watch.inside(inside)

    def _release(self, taken: Sequence[Claim]) -> None:
        with db.current().write() as session:
            claims.release(session, taken, self.worker)


def _batch_fields(batch_id: int) -> list[Any]:
    with db.current().read() as session:
        return claims.batch_fields(session, batch_id)


def _to_outbox(claim: Claim, message: Message) -> Result:
    detail = f"no provider is set for {claim.channel}."
    return Result(claim=claim, outcome=Outcome.ACCEPTED, provider=OUTBOX, detail=detail, kept=message)


def hand_over(claim: Claim, message: Message, providers: Sequence[Provider], down: dict[str, str]) -> Result:
    """Give a message to the first provider that can be reached.

    ``down`` collects the providers that could not be reached, with the reason, so that the rest of the group need not
    wait for them too. A fault of the message never goes on to the next provider.
    """
    result: Result | None = None
    for provider in providers:
        if provider.name in down:
            continue
        result = _attempt(claim, message, provider, down)
        if provider.name not in down:
            return result
    if result is not None:
        return result
    detail = f"Not tried, since a moment ago: {down[providers[0].name]}"
    return Result(claim=claim, outcome=Outcome.RETRY, provider=providers[0].name, detail=detail)


@watch.timed
def _attempt(claim: Claim, message: Message, provider: Provider, down: dict[str, str]) -> Result:
    try:
        receipt = _connections.to(provider).send(message)
    except ProviderError as error:
        if error.route_down and error.outcome in {Outcome.RETRY, Outcome.THROTTLED, Outcome.CONFIG}:
            down[provider.name] = error.detail
        return Result(
            claim=claim,
            outcome=error.outcome,
            provider=provider.name,
            detail=error.detail,
            retry_after=error.retry_after,
        )
    except Exception as error:
        # A provider's own defect must not take the other messages with it; the message stays to be tried again.
        logger.exception("Provider %s failed in a way of its own", provider.name)
        detail = f"The provider failed unexpectedly ({type(error).__name__})."
        return Result(claim=claim, outcome=Outcome.RETRY, provider=provider.name, detail=detail)
    return Result(
        claim=claim,
        outcome=Outcome.ACCEPTED,
        provider=provider.name,
        detail=receipt.detail,
        provider_message_id=receipt.provider_message_id,
    )
