// What can be folded in a template's source: elements and components as the mode has them, and Jinja's blocks.
(() => {
  if (!window.ace) return;
  const BEGIN = /\{%[-+]?\s*(?:for|if|block|macro|call|filter|with|autoescape)\b/g;
  const END = /\{%[-+]?\s*end(?:for|if|block|macro|call|filter|with|autoescape)\b/g;
  const count = (line, pattern) => (line.match(pattern) || []).length;

  ace.define("ace/mode/folding/jinja", ["require", "exports"], (require, exports) => {
    const { Range } = require("ace/range");
    const opens = (line) => count(line, BEGIN) > count(line, END);

    exports.withJinja = (inner) => ({
      getFoldWidget(session, style, row) {
        return opens(session.getLine(row)) ? "start" : inner.getFoldWidget(session, style, row);
      },
      getFoldWidgetRange(session, style, row, force) {
        const line = session.getLine(row);
        if (!opens(line)) return inner.getFoldWidgetRange(session, style, row, force);
        let depth = 0;
        for (let at = row; at < session.getLength(); at += 1) {
          const text = session.getLine(at);
          depth += count(text, BEGIN) - count(text, END);
          if (at > row && depth <= 0) return new Range(row, line.length, at, Math.max(text.search(/\S/), 0));
        }
        return undefined;
      },
    });
  });
})();
