"""The build hook of the wheel: what a checkout has beside the package goes into it.

It is loaded by its path when the wheel is built, and imports nothing of Carillon.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_FOLDERS = ("portal_templates", "notification_templates", "static/styles", "static/scripts", "static/images")
_FRONT_END = ("htmx.org/dist", "ace-builds/css", "ace-builds/src-min-noconflict", "swagger-ui-dist")
_ENDINGS = (".js", ".css")


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg] # its parameter is a configuration that we have not
    """Adds the pages, starters, styles, scripts and front-end packages."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name what is to be added; an installation that is edited in place needs none of it.

        Raises:
            FileNotFoundError: the front-end packages are not there.
        """
        if version == "editable":
            return
        root = Path(self.root)
        packages = root / "static" / "node_modules"
        if not packages.is_dir():
            raise FileNotFoundError("The front-end packages are missing: run `make setup` before the wheel is built.")
        for name in _FOLDERS:
            build_data["force_include"][str(root / name)] = f"backend/resources/{name}"
        for name in _FRONT_END:
            for path in sorted((packages / name).glob("*")):
                if path.suffix in _ENDINGS:
                    inside = path.relative_to(root).as_posix()
                    build_data["force_include"][str(path)] = f"backend/resources/{inside}"
