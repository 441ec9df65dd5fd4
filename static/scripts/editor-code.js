// The code editor over the source's textarea, which stays the truth: every change is written back to it at once.
(() => {
  const form = document.getElementById("editor");
  const holder = document.getElementById("code");
  if (!form || !holder || !window.ace) return;
  const source = form.elements.source;

  // Our own theme, so that its colours are those of the page, in light and dark: styles/editor-code.css.
  ace.define("ace/theme/carillon", ["require", "exports"], (_require, exports) => {
    exports.isDark = false;
    exports.cssClass = "ace-carillon";
    exports.cssText = "";
  });

  // Markdown with Jinja in it: the rules of the Jinja mode stand before those of every state.
  ace.define("ace/mode/markdown-jinja", ["require", "exports"], (require, exports) => {
    const Markdown = require("ace/mode/markdown").Mode;
    const { withJinja } = require("ace/mode/folding/jinja");
    const Rules = require("ace/mode/markdown_highlight_rules").MarkdownHighlightRules;
    class JinjaRules extends Rules {
      constructor() {
        super();
        const jinja = [
          { token: "comment.block", regex: "\\{#.*?#\\}" },
          { token: "keyword.jinja", regex: "\\{%[+-]?.*?[+-]?%\\}" },
          { token: "variable.jinja", regex: "\\{\\{[+-]?.*?[+-]?\\}\\}" },
        ];
        for (const name of Object.keys(this.$rules)) this.$rules[name].unshift(...jinja);
        this.normalizeRules();
      }
    }
    class Mode extends Markdown {
      constructor() {
        super();
        this.HighlightRules = JinjaRules;
        this.foldingRules = withJinja(this.foldingRules);
        this.$id = "ace/mode/markdown-jinja";
      }
    }
    exports.Mode = Mode;
  });

  // HTML and MJML with Jinja in it, whose blocks fold too.
  ace.define("ace/mode/elements-jinja", ["require", "exports"], (require, exports) => {
    const Nunjucks = require("ace/mode/nunjucks").Mode;
    const { withJinja } = require("ace/mode/folding/jinja");
    class Mode extends Nunjucks {
      constructor() {
        super();
        this.foldingRules = withJinja(this.foldingRules);
        this.$id = "ace/mode/elements-jinja";
      }
    }
    exports.Mode = Mode;
  });

  // What a mode is made of is fetched when the format wants it, and so is what searches.
  for (const [module, address] of [
    ["ace/mode/nunjucks", holder.dataset.nunjucks],
    ["ace/mode/markdown", holder.dataset.markdown],
    ["ace/ext/searchbox", holder.dataset.searchbox],
    ["ace/ext/language_tools", holder.dataset.tools],
  ]) ace.config.setModuleUrl(module, address);
  let wanted = "";
  const colour = () => {
    const [base, mode] = form.elements.format.value === "markdown"
      ? ["ace/mode/markdown", "ace/mode/markdown-jinja"]
      : ["ace/mode/nunjucks", "ace/mode/elements-jinja"];
    wanted = mode;
    ace.config.loadModule(["mode", base], () => { if (wanted === mode) editor.session.setMode(mode); });
  };

  ace.config.set("useStrictCSP", true);
  const place = source.value.slice(0, source.selectionStart).split("\n");
  const isIn = document.activeElement === source;
  holder.hidden = false;
  source.hidden = true;
  const editor = ace.edit(holder, {
    value: source.value,
    theme: "ace/theme/carillon",
    useWorker: false,
    showPrintMargin: false,
    showFoldWidgets: true,
    displayIndentGuides: false,
    tabSize: 2,
    useSoftTabs: true,
    wrap: true,
    fontSize: 13,
    enableKeyboardAccessibility: true,
    textInputAriaLabel: "Source",
    behavioursEnabled: true,
  });
  colour();
  editor.session.getUndoManager().reset();
  // These keys are the page's.
  editor.commands.removeCommand("showSettingsMenu");
  editor.commands.removeCommand("openCommandPalette");

  editor.session.on("change", () => {
    source.value = editor.session.getValue();
    source.dispatchEvent(new Event("input", { bubbles: true }));
  });

  form.addEventListener("editor:marks", (event) => {
    editor.session.setAnnotations(event.detail.map((mark) => ({
      row: mark.line - 1,
      column: 0,
      text: mark.text,
      type: mark.kind,
    })));
  });
  form.addEventListener("editor:line", (event) => {
    editor.gotoLine(event.detail, 0, false);
    editor.focus();
  });
  form.addEventListener("editor:replace", (event) => {
    const last = editor.session.getLength();
    const range = new (ace.require("ace/range").Range)(0, 0, last, 0);
    const { row } = editor.getCursorPosition();
    const top = editor.session.getScrollTop();
    editor.session.replace(range, event.detail);
    editor.gotoLine(row + 1, 0, false);
    editor.session.setScrollTop(top);
    editor.focus();
  });
  form.elements.format.addEventListener("change", colour);
  document.getElementById("source-label").addEventListener("click", () => editor.focus());
  // A fault's link leads to the textarea's id, which is hidden now.
  document.addEventListener("click", (event) => {
    if (event.target.closest('a[href="#source"]:not([data-go-to])')) editor.focus();
  });
  new ResizeObserver(() => editor.resize()).observe(holder);
  if (isIn) editor.gotoLine(place.length, place.at(-1).length, false);
  if (isIn || document.querySelector(".code.field-bad")) editor.focus();
  form.dispatchEvent(new Event("editor:ready"));
})();
