// Suggestions while one types: components and their attributes, Jinja, partials, and the fields of the sample.
(() => {
  const form = document.getElementById("editor");
  const holder = document.getElementById("code");
  if (!form || !holder || !window.ace || holder.hidden) return;
  const LOOKED_BACK = 400; // lines
  const editor = ace.edit(holder);
  const NAME = /^[A-Za-z_]\w*$/;

  let asked = null;
  const words = () => {
    asked ??= fetch(form.dataset.words).then((answer) => {
      if (!answer.ok) throw new Error(String(answer.status));
      return answer.json();
    }).catch(() => {
      asked = null;
      return null;
    });
    return asked;
  };

  // --- The sample's fields -----------------------------------------------------------------------------------------

  const read = () => {
    try {
      return JSON.parse(form.elements.sample.value);
    } catch {
      return {};
    }
  };
  const variables = () => {
    const fields = read();
    const batch = form.elements.mode.value === "BATCH";
    if (batch) return { fields: Array.isArray(fields) ? fields : [fields] };
    return { ...fields, fields };
  };
  const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
  const steps = (path) => [...path.matchAll(/(?:^|\.)\s*(\w+)|\[\s*(?:"([^"]*)"|'([^']*)'|(\d+))\s*\]/g)]
    .map((found) => found[1] ?? found[2] ?? found[3] ?? found[4]);
  const follow = (path, known) => steps(path).reduce(
    (value, name) => (typeof value === "object" && value !== null && Object.hasOwn(value, name) ? value[name] : undefined),
    known,
  );
  // What loops and assignments before the cursor give names to.
  const known = (before, all) => {
    const found = { ...all.surroundings, ...variables() };
    const loops = /\{%[-+]?\s*for\s+(\w+)(?:\s*,\s*(\w+))?\s+in\s+([\w.[\]"']+)(\.items\(\))?|\{%[-+]?\s*set\s+(\w+)\s*=\s*([\w.[\]"']+)\s*[-+]?%\}/g;
    for (const [, one, second, path, items, name, value] of before.matchAll(loops)) {
      if (name) found[name] = follow(value, found);
      else {
        const list = follow(path.replace(/\.items$/, ""), found);
        const first = Array.isArray(list) ? list[0] : isObject(list) ? Object.values(list)[0] : undefined;
        found[second ?? one] = first;
        if (second) found[one] = isObject(list) ? "" : undefined;
        found.loop ??= { index: 1, index0: 0, first: true, last: false, length: 1, previtem: null, nextitem: null };
      }
    }
    return found;
  };
  const hint = (value) => {
    if (Array.isArray(value)) return "list";
    return isObject(value) ? "object" : String(value ?? "").slice(0, 30) || "field";
  };

  // --- What may come next ------------------------------------------------------------------------------------------

  const listed = (names, meta, more = {}) => names.map((name) => ({ caption: name, value: name, meta, score: 1000, ...more }));

  const members = (value, dotted) => {
    if (!isObject(value)) return [];
    return Object.entries(value).map(([name, one]) => {
      const plain = dotted && NAME.test(name);
      const caption = plain ? name : dotted ? `["${name}"]` : name;
      return { caption, value: plain ? name : `["${name}"]`, meta: hint(one), score: 1000, bracket: !plain, dotted };
    });
  };

  const ofJinja = (inside, before, all) => {
    const format = form.elements.format.value;
    if (/\b(?:include|extends|import|from)\s+\[?\s*["'][\w.]*$/.test(inside)) {
      const parts = format === "mjml" ? [...all.parts.html, ...all.parts.mjml] : all.parts[format];
      return listed(parts, "partial");
    }
    if (/^\{%[-+]?\s*\w*$/.test(inside)) return listed(all.statements, "Jinja");
    if (/\|\s*\w*$/.test(inside)) return listed(all.filters, "filter");
    if (/\bis\s+(?:not\s+)?\w*$/.test(inside)) return listed(all.tests, "test");
    const path = /([A-Za-z_]\w*(?:\.\w+|\[\s*(?:"[^"]*"|'[^']*'|\d+)\s*\])*)(\.|\[\s*["']?)[\w-]*$/.exec(inside);
    const names = known(before, all);
    if (path) return members(follow(path[1], names), path[2] === ".");
    if (/["'][^"'{}]*$/.test(inside) && (inside.match(/["']/g) || []).length % 2) return [];
    return [
      ...Object.entries(names).filter(([name]) => NAME.test(name))
        .map(([name, value]) => ({ caption: name, value: name, meta: hint(value), score: 2000 })),
      ...listed(all.functions, "function"),
    ];
  };

  const parentOf = (before) => {
    const opened = [];
    for (const [, end, name, closed] of before.matchAll(/<(\/?)(mjml|mj-[\w-]+)\b(?:[^<>"']|"[^"]*"|'[^']*')*?(\/?)>/g)) {
      if (end) opened.splice(Math.max(opened.lastIndexOf(name), 0));
      else if (!closed) opened.push(name);
    }
    return opened.at(-1);
  };

  const ofTag = (tag, before, all) => {
    if (/^<mj-include\b[^<>]*\bpath\s*=\s*["'][\w.]*$/.test(tag)) return listed(all.parts.mjml, "partial");
    if (/^<[\w-]*$/.test(tag)) {
      const parent = parentOf(before);
      const inside = all.components[parent];
      if (inside?.text) return [];
      return listed(inside ? inside.children : Object.keys(all.components), "MJML");
    }
    const value = /^<(mj[\w-]*)\b.*\s([\w-]+)\s*=\s*(?:"[^"]*|'[^']*)$/s.exec(tag);
    if (value) {
      const taken = all.components[value[1]]?.attributes[value[2]] || [];
      return listed(taken[0] === "colour" ? all.colours : taken, value[2]);
    }
    const name = /^<(mj[\w-]*)\s(?:[^"']|"[^"]*"|'[^']*')*$/.exec(tag);
    const attributes = Object.keys((name && all.components[name[1]]?.attributes) || {});
    return attributes.map((one) => ({ caption: one, snippet: `${one}="$1"`, meta: "attribute", score: 1000 }));
  };

  const suggested = (before, all) => {
    const open = Math.max(before.lastIndexOf("{{"), before.lastIndexOf("{%"));
    if (open > Math.max(before.lastIndexOf("}}"), before.lastIndexOf("%}"))) return ofJinja(before.slice(open), before, all);
    const tag = before.lastIndexOf("<");
    const inTag = form.elements.format.value === "mjml" && tag > before.lastIndexOf(">");
    return inTag ? ofTag(before.slice(tag), before.slice(0, tag), all) : [];
  };

  const completer = {
    id: "carillon",
    identifierRegexps: [/[\w-]/],
    triggerCharacters: ["<", ".", "|", "[", '"', "'"],
    async getCompletions(_editor, session, place, _prefix, done) {
      const all = await words();
      const from = { row: Math.max(place.row - LOOKED_BACK, 0), column: 0 };
      const before = session.getTextRange({ start: from, end: place });
      done(null, all ? suggested(before, all).map((one) => ({ ...one, completer })) : []);
    },
    insertMatch(where, data) {
      const { completions } = where.completer;
      const length = completions.filterText.length;
      const { row, column } = where.getCursorPosition();
      const line = where.session.getLine(row);
      let start = column - length;
      if (data.bracket && data.dotted) start -= 1;
      let end = column;
      let text = data.value;
      if (data.bracket && !data.dotted) {
        const quote = /["']$/.exec(line.slice(0, start));
        text = quote ? `${data.caption}${quote[0]}]` : `"${data.caption}"]`;
        // The closing sign that the editor has set already.
        if (line.slice(column).startsWith(quote ? `${quote[0]}]` : "]")) end += quote ? 2 : 1;
      }
      if (data.snippet) {
        where.session.remove({ start: { row, column: start }, end: { row, column: end } });
        ace.require("ace/snippets").snippetManager.insertSnippet(where, data.snippet);
      } else where.session.replace({ start: { row, column: start }, end: { row, column: end } }, text);
    },
  };

  // Its file is large, and wanted by those who write.
  const begin = () => ace.config.loadModule("ace/ext/language_tools", () => {
    // The list stands inside of the page's main part, and its own field is for nobody.
    const list = ace.require("ace/autocomplete").Autocomplete.for(editor);
    list.editor = editor;
    list.parentNode = document.getElementById("main");
    list.$init().textInput.getElement().tabIndex = -1;
    editor.setOptions({ enableBasicAutocompletion: [completer], enableLiveAutocompletion: [completer] });
    words();
  });
  if (editor.isFocused()) begin();
  else editor.once("focus", begin);
})();
