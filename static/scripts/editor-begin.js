// When the code editor is fetched. It is large: with a mouse it is there at once, and where a finger points the plain
// source stands in its place until somebody goes into it.
(() => {
  const form = document.getElementById("editor");
  if (!form) return;
  const source = form.elements.source;
  const parts = [...document.querySelectorAll("link[data-code]")];

  const begin = () => {
    for (const part of parts) {
      if (part.rel === "stylesheet") part.media = "all";
      else document.head.append(Object.assign(document.createElement("script"), { src: part.href, async: false }));
    }
  };

  // Until then the plain source does what is asked of it.
  form.addEventListener("editor:replace", (event) => {
    if (source.hidden) return;
    source.value = event.detail;
    source.dispatchEvent(new Event("input", { bubbles: true }));
  });
  form.addEventListener("editor:line", (event) => {
    if (source.hidden) return;
    const before = source.value.split("\n").slice(0, event.detail - 1);
    const start = before.reduce((length, line) => length + line.length + 1, 0);
    source.setSelectionRange(start, start);
    source.focus();
  });

  if (parts.every((part) => matchMedia(part.media).matches) || document.querySelector(".code.field-bad")) begin();
  else source.closest(".code").addEventListener("focusin", begin, { once: true });
})();
