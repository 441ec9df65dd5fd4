"""Looks at the mail servers, and at certificates that end."""

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from backend.channels.base import Channel, Probed, ProviderError
from backend.delivery.providers import routes
from backend.doctor.examination import Check, Fault, Warned
from backend.lib import clock, settings
from backend.lib.settings import LOOPBACK

_SOON = timedelta(days=21)
_SECONDS = 5.0


def smtp() -> str:
    """Sign in to each mail server and ask it about the sender; nothing is sent."""
    probed = [one for one in routes.routes()[Channel.EMAIL] if isinstance(one, Probed)]
    faults: list[str] = []
    ends: list[str] = []
    for provider in probed:
        try:
            end = provider.probe(settings.current().mail_from)
        except ProviderError as error:
            faults.append(f"{provider.name}: {error.detail}")
        else:
            ends += _ending(provider.name, end)
    if faults:
        raise Fault(
            f"{'; '.join(faults)}. Compare CARILLON_EMAIL_PROVIDERS and CARILLON_MAIL_FROM with what the server's "
            "operator says; nothing was sent"
        )
    if ends:
        raise Warned(" ".join(ends))
    return f"{len(probed)} mail servers let us in and take the sender" if probed else "no mail server is set"


def certificate() -> str:
    """Look at the certificate that browsers see."""
    parts = urlsplit(settings.current().base_url)
    host = parts.hostname or ""
    if parts.scheme != "https" or host in LOOPBACK:
        return "the base address has none"
    try:
        context = ssl.create_default_context()
        with socket.create_connection((host, parts.port or 443), _SECONDS) as plain:
            plain.settimeout(_SECONDS)
            with context.wrap_socket(plain, server_hostname=host) as secured:
                found = secured.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        raise Fault(
            f"{host}: its certificate is refused, {error.verify_message}: renew it or serve the whole chain"
        ) from error
    except OSError as error:
        raise Warned(
            f"{host} cannot be reached from here: {error.strerror or error}. Clients may still reach it"
        ) from error
    end = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(found["notAfter"])), UTC)
    ends = list(_ending(host, end))
    if ends:
        raise Warned(ends[0])
    return f"that of {host} is good until {end:%Y-%m-%d}"


def _ending(name: str, end: datetime | None) -> Iterator[str]:
    if end is not None and end - clock.now() < _SOON:
        yield f"The certificate of {name} ends on {end:%Y-%m-%d}: have it renewed."


CHECKS = (Check("smtp", smtp), Check("certificate", certificate))
