"use strict";
// Keys and clicks choose a step; the panel then shows what it changed and what is in flight after it.
(() => {
  const steps = [...document.querySelectorAll(".step")];
  const panel = document.querySelector(".panel");
  const all = document.getElementById("all");
  if (!steps.length || !panel) return;
  document.documentElement.classList.add("js");
  panel.hidden = false;
  let chosen = 0;

  const make = (element, text) => {
    const made = document.createElement(element);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const button = (text, to) => {
    const made = make("button", text);
    made.type = "button";
    made.disabled = to < 0 || to >= steps.length;
    made.addEventListener("click", () => choose(to, true));
    return made;
  };
  const show = () => {
    const step = steps[chosen];
    const go = make("div");
    go.className = "go";
    go.append(button("↑ back", chosen - 1), button("↓ on", chosen + 1));
    const number = step.querySelector(".number").textContent;
    const title = make("h2", number === "0" ? "At the start" : "Step " + number);
    const words = make("div", step.querySelector(".words").textContent);
    panel.replaceChildren(go, title, words, step.querySelector(".told").cloneNode(true));
    panel.scrollTop = 0;
  };
  const choose = (at, scroll) => {
    steps[chosen].classList.remove("chosen");
    chosen = Math.max(0, Math.min(steps.length - 1, at));
    const step = steps[chosen];
    step.classList.add("chosen");
    if (scroll) {
      step.scrollIntoView({ block: "nearest" });
      history.replaceState(null, "", "#" + step.id);
    }
    show();
  };
  const keys = {
    j: () => chosen + 1, ArrowDown: () => chosen + 1, k: () => chosen - 1, ArrowUp: () => chosen - 1,
    Home: () => 0, End: () => steps.length - 1,
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "a" && all) all.checked = !all.checked;
    const to = keys[event.key];
    if (!to) return;
    event.preventDefault();
    choose(to(), true);
  });
  steps.forEach((step, at) => step.addEventListener("click", () => choose(at, false)));
  const named = () => {
    const at = steps.findIndex((step) => "#" + step.id === location.hash);
    if (at >= 0) choose(at, true);
  };
  addEventListener("hashchange", named);
  choose(0, false);
  named();
})();
