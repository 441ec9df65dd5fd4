"""The provider kinds, one line each, and how the settings' addresses become providers."""

from collections.abc import Callable, Sequence
from pathlib import Path

from backend.channels.apprise_service import AppriseServices
from backend.channels.base import Channel, Provider
from backend.channels.email_sendgrid import SendGridProvider
from backend.channels.email_ses import SesProvider
from backend.channels.email_smtp import SmtpProvider
from backend.channels.freshservice import FreshserviceProvider
from backend.channels.letter import LetterSpool
from backend.channels.msteams import TeamsWebhooks
from backend.channels.provider_address import kind_of
from backend.channels.simulator import Simulator
from backend.channels.slack import SlackProvider, SlackWebhooks
from backend.channels.sms_plivo import PlivoProvider
from backend.channels.sms_twilio import TwilioProvider

KINDS: dict[Channel, dict[str, Callable[[str], Provider]]] = {
    Channel.EMAIL: {"smtp": SmtpProvider, "sendgrid": SendGridProvider, "ses": SesProvider},
    Channel.SLACK: {"slack": SlackProvider},
    Channel.FRESHSERVICE: {"freshservice": FreshserviceProvider},
    Channel.MSTEAMS: {},
    Channel.SMS: {"twilio": TwilioProvider, "plivo": PlivoProvider},
    Channel.LETTER: {},
    Channel.APPRISE: {},
}

# Ways that no setting names: the address itself, or a folder of the application. Each is given the data folder.
WITHOUT_SETTING: dict[Channel, Callable[[Path], Provider]] = {
    Channel.SLACK: lambda _folder: SlackWebhooks(),
    Channel.MSTEAMS: lambda _folder: TeamsWebhooks(),
    Channel.LETTER: lambda folder: LetterSpool(folder / "letters"),
    Channel.APPRISE: lambda _folder: AppriseServices(),
}

# Stands in for every one of them where a message is not to leave, or its fate is asked for by its address.
SIMULATORS: dict[Channel, Provider] = {channel: Simulator(channel) for channel in Channel}


def providers_for(channel: Channel, addresses: Sequence[str]) -> list[Provider]:
    """Make the providers of a channel from their addresses, in the same order of preference.

    Raises ``ValueError`` with one sentence that names the address by its position and holds no secret.
    """
    kinds = KINDS[channel]
    known = ", ".join(f"{kind}://" for kind in kinds) or "none yet"
    providers = []
    for position, address in enumerate(addresses, start=1):
        make = kinds.get(kind_of(address))
        if make is None:
            raise ValueError(
                f"Provider address {position} for {channel} is of an unknown kind; known kinds are: {known}."
            )
        try:
            providers.append(make(address))
        except ValueError as fault:
            raise ValueError(f"Provider address {position} for {channel} cannot be used: {fault}.") from None
    return providers
