"""Our account at a provider's HTTP interface: where it is, who we are there, and one way to ask it something."""

from base64 import b64encode
from collections.abc import Mapping

import msgspec

from backend.channels import http_outcomes
from backend.channels.attachments import more_seconds
from backend.lib.outbound import Answer


class HttpAccount(msgspec.Struct, frozen=True, kw_only=True):
    """Where and as whom a provider is asked.

    ``base`` is an address without a path; ``authorization`` the value of that header field. ``secrets`` are left out
    of what is quoted of its answers. ``timeout`` is in seconds, for a whole exchange.
    """

    base: str
    authorization: str
    secrets: tuple[str, ...]
    timeout: float

    def __repr__(self) -> str:
        return f"HttpAccount({self.base!r})"

    def call(
        self, method: str, path: str, body: bytes | None, content_type: str = "application/json", **more: str
    ) -> Answer:
        """Ask and return the answer, whatever its status; ``more`` are header fields. Raises ``ProviderError``."""
        fields: Mapping[str, str] = {
            "Authorization": self.authorization,
            "Accept": "application/json",
            "User-Agent": "Carillon",
            **({} if body is None else {"Content-Type": content_type}),
            **more,
        }
        timeout = self.timeout + more_seconds(len(body or b""))
        return http_outcomes.exchange(method, self.base + path, headers=fields, body=body, timeout=timeout)


def basic(user: str, password: str) -> str:
    """Return the value of an ``Authorization`` field of the scheme Basic (RFC 7617)."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode("ascii")
