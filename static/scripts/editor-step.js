// Source and message scroll in step: by the share of each that is above. The frame's lines cannot be asked for.
(() => {
  const form = document.getElementById("editor");
  const holder = document.getElementById("code");
  const stage = document.getElementById("stage");
  const wanted = document.getElementById("in-step");
  if (!form || !holder || !window.ace || holder.hidden) return;
  const TYPED_MILLISECONDS = 600;
  const editor = ace.edit(holder);
  let typed = 0;
  // Who was scrolled by the other does not answer.
  let led = null;
  let leading = 0;

  // Below each other, only one of them is in sight.
  const besides = () => {
    const [code, shown] = [holder, stage].map((one) => one.getBoundingClientRect());
    return wanted.checked && !stage.hidden && shown.height > 0 && shown.left >= code.right;
  };
  const lead = (who, move) => {
    led = who;
    clearTimeout(leading);
    leading = setTimeout(() => { led = null; }, 100);
    move();
  };
  const heightOfCode = () => {
    const { renderer } = editor;
    return Math.max(renderer.layerConfig.maxHeight - renderer.$size.scrollerHeight, 0);
  };

  editor.session.on("change", () => { typed = Date.now(); });
  editor.session.on("changeScrollTop", (top) => {
    // Typing moves the source where the message is to keep its place.
    if (led === "code" || Date.now() - typed < TYPED_MILLISECONDS || !besides()) return;
    const room = heightOfCode();
    if (room) lead("stage", () => { stage.scrollTop = (top / room) * (stage.scrollHeight - stage.clientHeight); });
  });
  stage.addEventListener("scroll", () => {
    if (led === "stage" || Date.now() - typed < TYPED_MILLISECONDS || !besides()) return;
    const room = stage.scrollHeight - stage.clientHeight;
    if (room) lead("code", () => { editor.session.setScrollTop((stage.scrollTop / room) * heightOfCode()); });
  }, { passive: true });
})();
