"""Addresses that a provider refuses as bad ones get nothing more from the service, as if they had bounced later."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from backend.accounts import audit
from backend.channels.records import SUPPRESSIBLE
from backend.delivery.outcomes.record import Result
from backend.registry import suppressions


def learn(session: Session, results: Sequence[Result]) -> None:
    """Suppress the addresses that a provider has refused as bad ones."""
    bad = {
        (result.claim.service_id, result.claim.channel, result.claim.address): result
        for result in results
        if result.bad_address and result.claim.channel in SUPPRESSIBLE
    }
    for (service_id, channel, address), result in sorted(bad.items(), key=lambda one: one[0]):
        if suppressions.suppress(session, service_id, channel, address, reason="bounced", detail=result.detail):
            told = {"reason": "bounced"}
            audit.record(
                session, audit.SYSTEM, "address.suppressed", f"{channel} {address}", service_id=service_id, detail=told
            )
