"""The application that tests send requests to."""

import gc
from functools import lru_cache

import pytest
from litestar import Litestar

from backend.app import create_app
from backend.lib import logs


@lru_cache(maxsize=1)
def application() -> Litestar:
    """Build the application once, for it asks for settings and database anew at each request; pytest keeps its logs.

    It freezes no memory when it starts: it does so for every test, and what tests leave behind would stay.
    """
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(logs, "configure", lambda **_options: None)
        patched.setattr(gc, "freeze", lambda: None)
        return create_app()
