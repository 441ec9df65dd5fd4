// Opens what opens on a page, one thing after the other, and measures it. Used by opened.py.
window.lookAtAllThatOpens = () => {
  const SLACK = 1.5;
  const isShown = (element) => element.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true });
  const nameOf = (element) => `${element.tagName.toLowerCase()}${element.classList.length ? `.${element.classList[0]}` : ""}`;
  const scrolls = (element, root) => {
    for (let one = element.parentElement; one && one !== root.parentElement; one = one.parentElement) {
      if (/auto|scroll|hidden|clip/.test(getComputedStyle(one).overflowX)) return true;
    }
    return false;
  };
  const isLaid = (element) => {
    const style = getComputedStyle(element);
    return style.position !== "absolute" && style.position !== "fixed" && !style.display.startsWith("inline")
      && style.display !== "contents";
  };

  const partsOf = (root) => [...root.querySelectorAll("*")].filter((one) => (
    isShown(one) && !one.closest(".visually-hidden, svg, .ace_editor, .moment, option") && !(one.tagName === "INPUT" && one.type === "hidden")
  ));

  const measure = (root) => {
    const faults = [];
    const outer = root.getBoundingClientRect();
    const floats = getComputedStyle(root).position === "fixed" || root.matches(".switcher, .menu-narrow");
    const parts = partsOf(root);
    for (const part of parts) {
      const box = part.getBoundingClientRect();
      if (part.matches("button, input, select, textarea, a") && (box.width < 1 || box.height < 1)) {
        faults.push(`${nameOf(part)} has no size`);
      }
      if (!box.width || !box.height || scrolls(part, root)) continue;
      if (box.left < -SLACK || box.right > innerWidth + SLACK) faults.push(`${nameOf(part)} is outside the window`);
      const out = box.left < outer.left - SLACK || box.right > outer.right + SLACK
        || box.top < outer.top - SLACK || box.bottom > outer.bottom + SLACK;
      if (!floats && out && !part.closest(".skip-link")) faults.push(`${nameOf(part)} is outside its panel`);
    }
    for (const part of [root, ...parts]) {
      const children = [...part.children].filter((one) => isShown(one) && isLaid(one));
      children.forEach((one, place) => {
        const a = one.getBoundingClientRect();
        for (const other of children.slice(place + 1)) {
          const b = other.getBoundingClientRect();
          const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
          const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
          if (across > 2 && down > 2) faults.push(`${nameOf(one)} and ${nameOf(other)} overlap`);
        }
      });
    }
    if (root.tagName === "DIALOG") {
      if (Math.abs(outer.left - (innerWidth - outer.right)) > 2) faults.push("it is not in the middle");
      if (Math.abs(outer.top - (innerHeight - outer.bottom)) > 2) faults.push("it is not in the middle of the height");
      if (!root.matches(":modal")) faults.push("the focus is not kept inside");
      if (!root.contains(document.activeElement)) faults.push("the focus is not in it");
    }
    const part = (value) => Math.round((100 * value) / (outer.width || 1));
    const boxes = parts.filter((one) => one.matches("button, input, select, textarea, label, h2, table, pre, iframe, .field"))
      .filter((one) => !scrolls(one, root)).slice(0, 16)
      .map((one) => [nameOf(one), part(one.getBoundingClientRect().left - outer.left), part(one.getBoundingClientRect().width)]);
    return { faults: [...new Set(faults)].slice(0, 6), boxes };
  };

  const found = [];
  const all = [...document.querySelectorAll("details")].filter((one) => isShown(one.querySelector("summary")));
  for (const details of all) {
    const was = details.open;
    details.open = true;
    const key = `details ${details.id || details.className || nameOf(details.parentElement)}`;
    found.push({ key, ...measure(details) });
    details.open = was;
  }
  for (const button of document.querySelectorAll("button[popovertarget]:not([popovertargetaction])")) {
    const dialog = document.getElementById(button.getAttribute("popovertarget"));
    if (!isShown(button) || dialog?.tagName !== "DIALOG") continue;
    button.focus();
    button.click();
    const seen = measure(dialog);
    dialog.close();
    if (document.activeElement !== button) seen.faults.push("the focus does not go back to its button");
    found.push({ key: `dialog ${dialog.id}`, ...seen });
  }
  return found;
};
