"""Test modules made ready once for all processes of a run, which otherwise each make the same ones at the same time.

pytest rewrites the asserts of each module and keeps what comes of it; of a clean clone that takes half a minute of the
processor, and three processes that begin together find nothing kept by the others.
"""

import multiprocessing
import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from _pytest.assertion import rewrite
from _pytest.assertion.rewrite import assertstate_key

from tests.fast import pytest_ignore_collect

_PATTERNS = ("test_*.py", "conftest.py")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """Rewrite what is not kept, before the first process is started."""
    missing = [path for path in sorted(_modules(config)) if rewrite._read_pyc(path, _kept(path)) is None]
    if not missing:
        return
    processes = os.cpu_count() or 1
    forked = multiprocessing.get_context("fork")  # the configuration goes with them
    making = [forked.Process(target=_make, args=(config, missing[one::processes])) for one in range(processes)]
    for process in making:
        process.start()
    for process in making:
        process.join()


def _modules(config: pytest.Config) -> set[Path]:
    found: set[Path] = set()
    for given in config.args:
        path = config.invocation_params.dir / given.partition("::")[0]
        found |= {one for pattern in _PATTERNS for one in path.rglob(pattern)} if path.is_dir() else {path}
    return {path for path in found if "node_modules" not in path.parts and not pytest_ignore_collect(path, config)}


def _kept(path: Path) -> Path:
    return rewrite.get_cache_dir(path) / f"{path.stem}{rewrite.PYC_TAIL}"


def _make(config: pytest.Config, paths: Iterable[Path]) -> None:
    for path in paths:
        digest, code = rewrite._rewrite_test(path, config)
        if rewrite.try_makedirs(_kept(path).parent):
            rewrite._write_pyc(config.stash[assertstate_key], code, digest, _kept(path))
