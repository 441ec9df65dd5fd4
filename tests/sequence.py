"""In which order tests run: what takes long begins early, so that at the end of a run nobody waits for one of those.

pytest-xdist gives each process a stretch of the tests, and who has finished takes over from the others. Browsers begin
the first stretch and what starts servers and processes the second, so that they seldom run side by side.
"""

import pytest

# What drives browsers, servers and processes.
_FOLDERS = (
    "e2e",
    *(f"tests/{name}" for name in ("deploy", "handbook", "interop", "mail_servers", "simulator", "storms")),
)
# By their own seconds, the longest first.
_LONGEST = (
    "test_a_service_at_work",
    "test_every_answer_is_one_that_the_document_names",
    "test_no_page_is_pushed_sideways",
    "test_the_administration_and_what_is_open_to_all",
    "test_every_page_keeps_nobody_out_and_fits",
    "test_random_documents_look_alike_to_every_reader",
    "test_the_two_writers_agree_on_random_documents",
    "test_ordinary_documents_look_as_the_reference_compiler_draws_them",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put them into that order, which is the same in every process."""
    browsers = sorted((item for item in items if _folder(item) == "e2e"), key=_rank)
    processes = [item for item in items if _folder(item) not in {"", "e2e"}]
    others = [item for item in items if not _folder(item)]
    early = [item for item in others if _rank(item) < len(_LONGEST)] + processes
    rest = [item for item in others if _rank(item) == len(_LONGEST)]
    stretch = len(items) // int(getattr(config, "workerinput", {}).get("workercount", 1))
    first = max(stretch - len(browsers), 0)
    items[:] = browsers + rest[:first] + early + rest[first:]


def _folder(item: pytest.Item) -> str:
    return next((one for one in _FOLDERS if item.nodeid.startswith(f"{one}/")), "")


def _rank(item: pytest.Item) -> int:
    name = item.nodeid.rpartition("::")[2].partition("[")[0]
    return _LONGEST.index(name) if name in _LONGEST else len(_LONGEST)
