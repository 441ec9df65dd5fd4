"""Clients that nobody here wrote send, send again, and are told early that they may not."""

import pytest

from tests.interop.site import SENDING, Site
from tests.interop.table import CLIENTS, Client, posts, statuses

pytestmark = pytest.mark.timeout(300)  # some begin slowly on a busy machine


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_a_client_gets_the_answer_that_was_given(of: Site, client: Client) -> None:
    asked = posts(client, of)
    assert statuses(client, f"http://127.0.0.1:{of.port}{SENDING}", asked) == [post.status for post in asked]
