"""The one place at which what a service on trial sends is held to its team, whichever entry point it comes by."""

import msgspec

from backend.accounts.reach import Manner
from backend.db.models.accounts import Mode
from backend.intake.content import Content
from backend.intake.validate import ServiceState


def held(content: Content, service: ServiceState) -> Content:
    """Hold a content to the team: all that comes without an API client, and what its clients send if it says so.

    Its identity stays as it is: what was sent during the trial is not sent anew once the service is live.
    """
    manner = manner_of(service, content.manner, by_client=content.api_client_id is not None)
    return content if manner is content.manner else msgspec.structs.replace(content, manner=manner)


def manner_of(service: ServiceState, manner: Manner, *, by_client: bool) -> Manner:
    """Return how what a service sends in a manner is sent, since the service may be on trial."""
    if service.live or manner.mode is not Mode.LIVE or (by_client and not service.holds_clients):
        return manner
    return msgspec.structs.replace(manner, mode=Mode.TEAM)
