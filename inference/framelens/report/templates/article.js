"use strict";
// Filtering itself is CSS; this counts, and hides paragraphs in which nothing is left.
(() => {
  const boxes = [...document.querySelectorAll(".legend input")];
  const status = document.getElementById("status");
  const segments = [...document.querySelectorAll(".seg")];
  if (!status) return;
  const update = () => {
    const on = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    const left = (segment) => on.has(segment.dataset.label) || segment.closest("h1");
    for (const paragraph of document.querySelectorAll("#text p"))
      paragraph.classList.toggle("empty", ![...paragraph.querySelectorAll(".seg")].some(left));
    status.textContent = `${segments.filter(left).length} of ${segments.length} segments shown`;
  };
  // A link into the text shows its target, whatever the filters say, and followed again as well.
  const reveal = (hash) => {
    const target = document.getElementById(hash.slice(1));
    const box = target && boxes.find((one) => one.value === target.dataset.label);
    if (box && !box.checked) {
      box.checked = true;
      update();
      target.scrollIntoView();
    }
  };
  for (const box of boxes) box.addEventListener("change", update);
  addEventListener("hashchange", () => reveal(location.hash));
  addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (link) reveal(link.hash);
  });
  update();
  reveal(location.hash);
})();
