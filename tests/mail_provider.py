"""A real mail server as the e-mail provider of an installation under test."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from backend.delivery.providers import routes
from backend.lib import settings
from tests.smtp_server import SmtpServer


@contextmanager
def mail_provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[SmtpServer]:
    """Run a mail server and make it the provider, also of whatever is configured afterwards."""
    with SmtpServer() as running:
        monkeypatch.setenv("CARILLON_EMAIL_PROVIDERS", running.address)
        settings.current.cache_clear()
        routes.routes.cache_clear()
        yield running
    routes.routes.cache_clear()
