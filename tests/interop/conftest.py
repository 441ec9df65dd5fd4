"""One installation for all clients and proxies."""

from collections.abc import Iterator

import pytest

from tests.interop import site
from tests.interop.site import Site


@pytest.fixture(scope="package")
def of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site.running(tmp_path_factory.mktemp("interop")) as running:
        yield running
