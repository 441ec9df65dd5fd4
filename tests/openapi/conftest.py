"""One installation of real processes, and the document that it serves."""

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop import site
from tests.interop.site import Site


@pytest.fixture(scope="package")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site.running(tmp_path_factory.mktemp("openapi")) as running:
        yield running


@pytest.fixture(scope="package")
def document(installation: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keep the served document in a file."""
    path = tmp_path_factory.mktemp("document") / "openapi.json"
    with urllib.request.urlopen(f"http://127.0.0.1:{installation.port}/docs/openapi.json", timeout=60) as answer:
        path.write_bytes(answer.read())
    return path
