"""The application over HTTP, for rules about its addresses."""

from tests.api.conftest import site  # noqa: F401 - a fixture
