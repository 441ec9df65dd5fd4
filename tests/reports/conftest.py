"""The laboratory whose messages go to the outbox."""

from tests.monitoring.conftest import harness  # noqa: F401 - a fixture
