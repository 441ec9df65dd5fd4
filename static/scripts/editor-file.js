// Dropping a file: on the editor it replaces the source (which can be undone), on the form of a new template it is chosen.
(() => {
  const form = document.querySelector("form[data-drop]");
  if (!form) return;
  const MOST_BYTES = 256 * 1024;
  const editing = form.id === "editor";

  const say = (sentence) => {
    const region = document.getElementById("news") || document.getElementById("toasts");
    const line = document.createElement("p");
    line.textContent = sentence;
    region.replaceChildren(line);
    const problems = document.querySelector("#problems ul, #problems");
    if (editing && problems) problems.prepend(Object.assign(line.cloneNode(true), { className: "problem problem-error" }));
  };

  const read = async (file) => {
    if (file.size > MOST_BYTES) {
      say(`The file has ${Math.ceil(file.size / 1024)} KiB; a template has at most 256 KiB.`);
      return;
    }
    try {
      const text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
      if (text.includes("\0")) throw new TypeError("binary");
      take(text.replace(/\r\n?/g, "\n"), file.name);
    } catch {
      say(`${file.name} is no text in UTF-8. Save it as UTF-8 and drop it again.`);
    }
  };

  const formatOf = (text, name) => {
    if (/<mjml[\s>]/i.test(text)) return "mjml";
    if (/\.html?$/i.test(name)) return "html";
    if (/\.(md|markdown)$/i.test(name)) return "markdown";
    return /\.txt$/i.test(name) ? "text" : null;
  };

  const take = (text, name) => {
    const format = formatOf(text, name);
    if (format) {
      form.elements.format.value = format;
      form.elements.format.dispatchEvent(new Event("change", { bubbles: true }));
    }
    form.dispatchEvent(new CustomEvent("editor:replace", { detail: text }));
  };

  const choose = (files) => {
    form.elements.file.files = files;
    form.elements.start.value = "file";
    form.elements.file.dispatchEvent(new Event("change", { bubbles: true }));
    form.elements.file.focus();
  };

  let inside = 0;
  const over = (entering) => {
    inside = Math.max(0, inside + (entering ? 1 : -1));
    form.classList.toggle("drop-over", inside > 0);
  };
  const holdsFile = (event) => [...event.dataTransfer.types].includes("Files");

  document.addEventListener("dragenter", (event) => { if (holdsFile(event)) over(true); });
  document.addEventListener("dragleave", (event) => { if (holdsFile(event)) over(false); });
  document.addEventListener("dragover", (event) => { if (holdsFile(event)) event.preventDefault(); }, { capture: true });
  document.addEventListener("drop", (event) => {
    if (!holdsFile(event)) return;
    event.preventDefault();
    event.stopPropagation();
    inside = 0;
    form.classList.remove("drop-over");
    if (editing) read(event.dataTransfer.files[0]);
    else choose(event.dataTransfer.files);
  }, { capture: true });
  // Choosing a file is choosing to begin with it.
  if (!editing) {
    form.elements.file.addEventListener("change", (event) => {
      if (event.target.files.length) form.elements.start.value = "file";
    });
  }
})();
