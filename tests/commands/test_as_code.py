"""Templates as code: a folder of five templates pushed, promoted to another installation, edited by hand, and locked.

The commands are processes, and so are the two installations: they meet over HTTP alone.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import processes
from tests.commands.conftest import STARTING_SECONDS, Command
from tests.storms.installation import wait_until

MJML = "<mjml><mj-body>\n{{% include 'X_HEADER' %}}\n{}\n</mj-body></mjml>\n"
SECTION = "<mj-section><mj-column><mj-text>{}</mj-text></mj-column></mj-section>"
HOOK = "https://hooks.slack.com/services/T0AAAAAAA/B0AAAAAAA/secretsecretsecret"
BATCH = """[batch]
quiet_seconds = 60
digest = "weekdays 08:00 Europe/London"
item_key = "sample-id"
only_if_new = true
"""


class Installation:
    """One installation with a web process, and a client of its service."""

    def __init__(self, folder: Path) -> None:
        self.command = Command(folder)
        self.url = self.command.base
        self.made("migrate", parse=False)
        self.made("services", "create", "Labs")
        client = self.made("clients", "create", "--service", "Labs")
        self.client_id, self.secret = client["client_id"], client["client_secret"]
        self.process = self.command.start("serve")
        wait_until(self._is_ready, STARTING_SECONDS, lambda: "the web process was not ready")
        form = {"grant_type": "client_credentials"}
        token = httpx.post(f"{self.url}/oauth/token", data=form, auth=(self.client_id, self.secret)).json()
        self.http = httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {token['access_token']}"})

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def made(self, *arguments: str, parse: bool = True) -> Any:
        done = self.command.run(*arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if parse else None

    def run(self, name: str, folder: Path | str, *more: str, given: str = "", **settings: str) -> Any:
        access = {"CLIENT_ID": self.client_id, "CLIENT_SECRET": self.secret} | settings
        done = self.command.run(name, "--to", self.url, "--folder", str(folder), *more, given=given, **access)
        assert self.secret not in done.stdout + done.stderr
        assert HOOK not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def close(self) -> None:
        self.http.close()
        self.process.kill()
        self.process.wait(10)


@pytest.fixture(scope="module")
def uat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    opened = Installation(tmp_path_factory.mktemp("uat"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    opened = Installation(tmp_path_factory.mktemp("production"))
    yield opened
    opened.close()


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def five_templates(folder: Path) -> None:
    write(folder, "partials/X_HEADER/template.toml", 'name = "Header"\n')
    write(folder, "partials/X_HEADER/source.mjml", SECTION.format("The laboratory"))
    for name in ("X_FIRST", "X_SECOND"):
        write(folder, f"{name}/template.toml", f'# Kept by the team\nname = "{name}"\n')
        write(folder, f"{name}/source.mjml", MJML.format(SECTION.format("Sample {{ id }}")))
        write(folder, f"{name}/subject.txt", "Sample {{ id }}\n")
        write(folder, f"{name}/samples/one.json", '{"id": 1}')
        write(folder, f"{name}/samples/two.json", '{"id": 2}')
    write(folder, "X_PLAIN/template.toml", f'name = "Plain"\nrepeat_after = "24h"\n{BATCH}')
    write(folder, "X_PLAIN/source.txt", "Hello {{ name }}")
    write(folder, "X_PLAIN/samples/ada.json", '{"name": "Ada"}')
    write(folder, "X_PAGE/template.toml", 'name = "Page"\n')
    write(folder, "X_PAGE/source.md", "# {{ title }}\n")
    write(folder, "X_PAGE/samples/a.json", '{"title": "T"}')
    write(
        folder,
        "recipients/X_LAB.toml",
        'name = "Lab"\n[[endpoints]]\ntype = "EMAIL"\naddress = "Lab@UAT.example"\n'
        '[[endpoints]]\ntype = "SLACK"\naddress = "${LAB_HOOK}"\n',
    )


def git(folder: Path, *arguments: str) -> str:
    own = ["git", "-C", str(folder), "-c", "user.name=T", "-c", "user.email=t@t.example"]
    return subprocess.run([*own, *arguments], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("repository")
    five_templates(made)
    git(made, "init", "-q")
    git(made, "remote", "add", "origin", "https://user:word@git.example/templates.git")
    git(made, "add", ".")
    git(made, "commit", "-qm", "Begin")
    return made


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch, uat: Installation, production: Installation) -> None:
    """Let the commands have the variable that an address names."""
    for one in (uat, production):
        monkeypatch.setitem(one.command.environment, "LAB_HOOK", HOOK)


@pytest.fixture
def begun(hook: None, uat: Installation, folder: Path) -> None:
    """Have the templates published: where another test has done so, there is nothing to do."""
    assert uat.run("push", folder).returncode == 0


@pytest.mark.usefixtures("hook")
def test_five_templates_go_from_a_folder_to_production(
    uat: Installation, production: Installation, folder: Path, tmp_path: Path
) -> None:
    planned = uat.run("plan", folder)
    assert planned.returncode == 2, planned.stderr
    for name in ("+ X_HEADER: new partial", "+ X_FIRST: new template", "+ X_LAB: new recipient", "6 new."):
        assert name in planned.stdout
    assert uat.http.get("/registry/v1/templates").json()["templates"] == []

    checked = uat.run("push", folder, "--check")
    assert (checked.returncode, "5 templates with 6 samples render." in checked.stdout) == (0, True), checked.stdout
    pushed = uat.run("push", folder, "-m", "Let it begin")
    assert (pushed.returncode, "X_FIRST 1" in pushed.stdout) == (0, True), pushed.stderr
    (version,) = uat.http.get("/registry/v1/templates/X_FIRST/versions").json()["versions"]
    commit = git(folder, "rev-parse", "--short=12", "HEAD")
    assert (version["note"], version["commit"]) == ("Let it begin", commit)
    assert version["repository"] == "https://git.example/templates.git"
    for name in ("plan", "push"):
        again = uat.run(name, folder)
        assert (again.returncode, "nothing to do" in again.stdout) == (0, True), again.stdout

    pulled = tmp_path / "pulled"
    done = uat.run("pull", pulled)
    assert (done.returncode, "wrote X_FIRST/source.mjml" in done.stdout) == (0, True), done.stderr
    assert (pulled / "X_FIRST/source.mjml").read_bytes() == (folder / "X_FIRST/source.mjml").read_bytes()
    assert "secretsecret" not in (pulled / "recipients/X_LAB.toml").read_text()
    again = uat.run("push", pulled)
    assert (again.returncode, "nothing to do" in again.stdout) == (0, True), again.stdout + again.stderr
    assert uat.run("pull", folder).stdout == "Nothing to do.\n"

    refused = production.run("push", pulled)
    assert refused.returncode == 1
    assert f"X_LAB was pulled from {uat.url}: say with --map who that is" in refused.stderr
    write(tmp_path, "map.toml", '[X_LAB]\nendpoints = [{ type = "EMAIL", address = "lab@production.example" }]\n')
    promoted = production.run("push", pulled, "--map", str(tmp_path / "map.toml"))
    assert promoted.returncode == 0, promoted.stderr
    lab = production.http.get("/registry/v1/recipients/X_LAB").json()
    assert lab["endpoints"] == [{"type": "EMAIL", "address": "lab@production.example"}]
    later = production.run("plan", pulled)
    assert (later.returncode, "= X_LAB: this recipient stays who it is there" in later.stdout) == (0, True)


@pytest.mark.usefixtures("begun")
def test_through_a_pipe_nothing_is_kept_on_a_disk(uat: Installation, production: Installation, tmp_path: Path) -> None:
    nobody = tmp_path / "map.toml"
    nobody.write_text("[X_LAB]\nskip = true\n")
    out = uat.run("pull", "-")
    assert out.returncode == 0, out.stderr
    done = production.run("push", "-", "--map", str(nobody), given=out.stdout)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert production.run("push", "-", given="{").returncode == 1


@pytest.mark.usefixtures("begun")
def test_a_partial_is_a_rendered_change_of_what_includes_it(uat: Installation, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    write(tmp_path, "partials/X_HEADER/source.mjml", SECTION.format("Another laboratory"))
    planned = uat.run("plan", tmp_path)
    assert planned.returncode == 2
    for line in (
        "~ X_HEADER: changed partial",
        "-<mj-section><mj-column><mj-text>The laboratory</mj-text>",
        "* X_FIRST: rendered change",
        "    +Another laboratory",
    ):
        assert line in planned.stdout, planned.stdout
    shutil.rmtree(tmp_path / "X_PAGE")
    shutil.rmtree(tmp_path / "partials")
    kept = uat.run("plan", tmp_path)
    assert (kept.returncode, "X_HEADER: only there, in use by X_FIRST and X_SECOND; it stays" in kept.stdout) == (
        0,
        True,
    )
    refused = uat.run("plan", tmp_path, "--delete")
    assert (refused.returncode, "X_FIRST, X_SECOND need it" in refused.stderr) == (1, True), refused.stderr


@pytest.mark.usefixtures("begun")
def test_an_edit_by_hand_is_told_and_a_lock_is_set(uat: Installation, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    body = {"name": "Plain", "format": "text", "source": "Changed {{ name }}", "sample_fields": {"name": "Ada"}}
    assert uat.http.put("/registry/v1/templates/X_PLAIN", json=body).status_code == 200
    planned = uat.run("plan", tmp_path)
    assert planned.returncode == 2
    assert "edited by hand since: version 2 by " in planned.stdout
    assert "    -Changed {{ name }}\n    +Hello {{ name }}\n" in planned.stdout
    write(
        tmp_path,
        "X_PLAIN/template.toml",
        (tmp_path / "X_PLAIN/template.toml").read_text().replace("[", "locked = true\n[", 1),
    )
    assert "to be locked against the portal" in uat.run("plan", tmp_path).stdout
    assert uat.run("push", tmp_path).returncode == 0
    plain = uat.http.get("/registry/v1/templates/X_PLAIN").json()
    assert (plain["source"], plain["lock"]["repository"]) == ("Hello {{ name }}", "https://git.example/templates.git")
    assert uat.run("plan", tmp_path).returncode == 0


@pytest.mark.usefixtures("begun")
def test_faults_are_sentences_with_file_and_line_and_nothing_is_published(
    uat: Installation, folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    write(tmp_path, "X_NEW/template.toml", 'name = "New"\n')
    write(tmp_path, "X_NEW/source.html", "<p>\n{{ a | nothing }}</p>")
    write(tmp_path, "X_NEWER/template.toml", 'name = "Newer"\n')
    write(tmp_path, "X_NEWER/source.html", "<p>{{ a }}</p>")
    write(tmp_path, "X_NEWER/samples/bad.json", "{}")
    for name in ("plan", "push"):
        refused = uat.run(name, tmp_path)
        assert refused.returncode == 1
        assert "carillon: X_NEW/source.html:2: X_NEW: Line 2: " in refused.stderr
        assert "carillon: X_NEWER/source.html:1: " in refused.stderr
    assert uat.http.get("/registry/v1/templates/X_NEWER").status_code == 404
    write(tmp_path, "X_NEW/template.toml", 'name = "New"\nnames = 1\n')
    write(tmp_path, "X_NEWER/samples/bad.json", '{\n"a": }')
    write(tmp_path, "lower/template.toml", 'name = "N"\n')
    (tmp_path / "X_FIRST/source.mjml").unlink()
    (tmp_path / "X_FIRST/source.mjml").symlink_to("/etc/hostname")
    refused = uat.run("push", tmp_path)
    assert refused.returncode == 1
    for line in (
        "X_NEW/template.toml:2: ",
        "X_NEWER/samples/bad.json:2: ",
        "lower: The name of",
        "X_FIRST/source.mjml: This leads",
    ):
        assert f"carillon: {line}" in refused.stderr, refused.stderr


def test_wrong_use_is_a_fault_and_not_a_change(uat: Installation, folder: Path) -> None:
    assert uat.command.run("plan", "--folder", str(folder)).returncode == 1
    assert uat.run("plan", folder, "--nonsense").returncode == 1
    wrong = uat.run("plan", folder, CLIENT_SECRET="wrong-secret")
    assert (wrong.returncode, "does not let the client" in wrong.stderr) == (1, True), wrong.stderr
    assert "wrong-secret" not in wrong.stderr
    unset = uat.run("plan", folder, CLIENT_SECRET="")
    assert (unset.returncode, "CARILLON_CLIENT_SECRET" in unset.stderr) == (1, True)
    missing = uat.run("plan", folder)  # the variable of an address is not set
    assert (missing.returncode, "LAB_HOOK is not set" in missing.stderr) == (1, True), missing.stderr
    plain = processes.run(
        *("plan", "--to", "http://notify.example.org", "--folder", str(folder)),
        environment=uat.command.environment | {"CARILLON_CLIENT_ID": "a", "CARILLON_CLIENT_SECRET": "b"},
        seconds=STARTING_SECONDS,
    )
    assert (plain.returncode, "must begin with https://" in plain.stderr) == (1, True)


def test_a_templates_languages_are_files_of_their_own(
    uat: Installation, production: Installation, tmp_path: Path
) -> None:
    folder, pulled = tmp_path / "folder", tmp_path / "pulled"
    write(folder, "X_TWO/template.toml", 'name = "Two"\n')
    write(folder, "X_TWO/source.txt", "Sample {{ id }}")
    write(folder, "X_TWO/subject.txt", "Sample\n")
    write(folder, "X_TWO/source.de.txt", "\nProbe {{ id }}{% if")
    write(folder, "X_TWO/subject.de.txt", "Probe\n")
    write(folder, "X_TWO/samples/one.json", '{"id": 1}')
    write(folder, "X_TWO/samples/de/eins.json", '{"id": 2}')
    write(folder, "recipients/X_READER.toml", 'name = "Reader"\nlanguage = "de"\nendpoints = []\n')
    broken = uat.run("push", folder)
    assert broken.returncode == 1
    assert "X_TWO/source.de.txt:2: X_TWO: In German (de): Line 2:" in broken.stderr
    write(folder, "X_TWO/source.de.txt", "Probe")
    planned = uat.run("plan", folder)
    assert planned.returncode == 2
    assert "+++ X_TWO/source.de.txt" in planned.stdout
    assert "warning: X_TWO/source.de.txt: In German (de): It does not use id" in planned.stdout
    write(folder, "X_TWO/source.de.txt", "Probe {{ id }}")
    assert uat.run("push", folder).returncode == 0
    assert uat.run("plan", folder).returncode == 0
    stored = uat.http.get("/registry/v1/templates/X_TWO").json()
    assert stored["variants"] == {"de": {"source": "Probe {{ id }}", "subject": "Probe", "sample_fields": {"id": 2}}}
    assert uat.http.get("/registry/v1/recipients/X_READER").json()["language"] == "de"

    assert uat.run("pull", pulled).returncode == 0
    assert (pulled / "X_TWO/source.de.txt").read_text() == "Probe {{ id }}"
    assert json.loads((pulled / "X_TWO/samples/de/eins.json").read_text()) == {"id": 2}
    assert uat.run("plan", pulled).returncode == 0
    shutil.rmtree(pulled / "recipients")
    assert production.run("push", pulled).returncode == 0
    assert production.http.get("/registry/v1/templates/X_TWO").json()["variants"] == stored["variants"]
    (folder / "X_TWO/source.de.txt").unlink()
    (folder / "X_TWO/subject.de.txt").unlink()
    shutil.rmtree(folder / "X_TWO/samples/de")
    assert uat.run("push", folder).returncode == 0
    assert "variants" not in uat.http.get("/registry/v1/templates/X_TWO").json()
