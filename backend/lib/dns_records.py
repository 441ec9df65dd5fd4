"""Records of the DNS, asked for within a short time."""

import time
from collections.abc import Sequence

import dns.exception
import dns.name
import dns.rdata
import dns.resolver
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.TXT import TXT

_LOOK_UP_SECONDS = 2.0
_ALL_SECONDS = 4.0


class UnansweredError(Exception):
    """The DNS said neither what there is nor that there is nothing; the text is a sentence."""


class Lookups:
    """Look-ups that together take a few seconds at most, by the machine's own resolver or by ``servers``.

    ``servers`` are IP addresses, asked at ``port``. It may be used by several threads.
    """

    def __init__(self, servers: Sequence[str] = (), port: int = 53) -> None:
        self._servers, self._port = servers, port
        self._end = time.monotonic() + _ALL_SECONDS

    def texts(self, name: str) -> list[str]:
        """Return the texts at a name, each in one piece; none where there are none.

        Raises:
            UnansweredError: nothing usable came in time.
        """
        found = self._ask(name, "TXT")
        return [b"".join(one.strings).decode("utf-8", "replace") for one in found if isinstance(one, TXT)]

    def takes_mail(self, domain: str) -> bool:
        """Tell whether a domain names servers for mail to it (RFC 5321, section 5.1; RFC 7505).

        Raises:
            UnansweredError: nothing usable came in time.
        """
        return any(isinstance(one, MX) and one.exchange != dns.name.root for one in self._ask(domain, "MX"))

    def _ask(self, name: str, kind: str) -> Sequence[dns.rdata.Rdata]:
        left = min(_LOOK_UP_SECONDS, self._end - time.monotonic())
        if left <= 0:
            raise UnansweredError("The DNS has not answered in time.")
        try:
            return list(self._resolver().resolve(dns.name.from_text(name), kind, lifetime=left, search=False))
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except dns.exception.Timeout as fault:
            raise UnansweredError("The DNS has not answered in time.") from fault
        except (dns.exception.DNSException, OSError, UnicodeError) as fault:
            raise UnansweredError("The DNS gave no usable answer.") from fault

    def _resolver(self) -> dns.resolver.Resolver:
        resolver = dns.resolver.Resolver(configure=not self._servers)
        if self._servers:
            resolver.nameservers, resolver.port = list(self._servers), self._port
        return resolver
