"""A pytest plugin that lets Jinja's own tests run against our environment in the place of Jinja's."""

import inspect
from typing import Any

import jinja2
import jinja2.environment

from backend.rendering.jinja.sandbox import Sandbox

_ITS_OWN = inspect.signature(jinja2.Environment)


class Environment(Sandbox):
    """Our environment, made as Jinja's is made: some tests give its options by their positions."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(**_ITS_OWN.bind(*args, **options).arguments)


jinja2.Environment = jinja2.environment.Environment = Environment  # type: ignore[misc]
