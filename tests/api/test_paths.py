"""An address has one spelling: an empty part in the path names nothing."""

from collections.abc import Callable

import pytest
from litestar.testing import TestClient

from backend.lib import settings
from tests.application import application

HOST = "http://testserver.local"


@pytest.mark.parametrize(
    "path", ["//healthz", "/healthz//", "/%2Fhealthz", "//notification/5", "/notification//5", "//portal/sign-in", "//"]
)
def test_an_empty_part_of_a_path_leads_nowhere(configure: Callable[..., settings.Settings], path: str) -> None:
    configure()
    with TestClient(application()) as client:
        assert client.get(HOST + path).status_code == 404
        assert client.get(HOST + "/healthz").status_code == 200


def test_a_query_is_no_part_of_the_path(configure: Callable[..., settings.Settings]) -> None:
    configure()
    with TestClient(application()) as client:
        assert client.get(HOST + "/portal/sign-in?next=//evil.example").status_code != 404
