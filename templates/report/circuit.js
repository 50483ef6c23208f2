"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const picture = $("picture"), stage = $("stage"), tip = $("tip"), details = $("details");
  const SVG = "http://www.w3.org/2000/svg";

  // --- the graph -----------------------------------------------------------------------------------------------------

  const nodes = data.nodes, edges = data.edges.map(([source, target, weight], index) => {
    // Edges into the target change the metric, whatever the others change; sizes compare within one unit only.
    const unit = nodes[target]?.kind === "target" ? "metric" : data.meaning;
    return { source, target, weight, index, unit, share: data.widest[unit] ? Math.abs(weight) / data.widest[unit] : 0 };
  });
  const into = nodes.map(() => []), outOf = nodes.map(() => []);
  for (const edge of edges) if (edge.source >= 0 && edge.target >= 0) { into[edge.target].push(edge); outOf[edge.source].push(edge); }
  const byId = new Map(nodes.map((node, i) => [node.id, i]));
  const strongest = nodes.map((_, i) => i).sort((a, b) => Math.abs(nodes[b].effect) - Math.abs(nodes[a].effect) || a - b);
  const text = nodes.map((n) => [n.id, n.name, n.label, n.kind, position(n)].join(" ").toLowerCase());
  const drawn = new Map([...picture.querySelectorAll("[data-key]")].map((el) => [el.dataset.key, el]));
  const chipOf = new Map();
  data.chips.forEach((chip) => chip.nodes.forEach((i) => chipOf.set(i, chip.key)));
  const chips = new Map(data.chips.map((chip) => [chip.key, chip.nodes]));
  const stops = [...picture.querySelectorAll(".node, .chip")];
  const middles = new Map(stops.map((el) => {
    const rect = el.querySelector("rect");
    const [x, y, w, h] = ["x", "y", "width", "height"].map((name) => Number(rect.getAttribute(name)));
    return [el, { x: x + w / 2, y: y + h / 2 }];
  }));

  function position(node) {
    const token = data.positions[node.position];
    if (node.position === null) return "every position";
    return "@" + node.position + (token ? " " + [token.text, token.note].filter(Boolean).join(" · ") : "");
  }
  function verdict(value, unit = "metric") {
    if (value === 0) return { word: "", colour: "" };
    if (unit === "activation") return value < 0 ? { word: "raises", colour: "helps" } : { word: "lowers", colour: "hurts" };
    const word = value * data.direction < 0 ? "helps" : "hurts";
    return { word, colour: word };
  }
  function number(value) {
    const size = Math.abs(value);
    const digits = size === 0 ? "0" : size < 1e-3 || size >= 1e6 ? size.toExponential(1).replace("-", "−") : size.toPrecision(size < 100 ? 3 : 5);
    return (value < 0 ? "−" : "+") + digits;
  }
  function title(node) { return node.label || node.name; }

  // --- making elements: text only ever enters as text ------------------------------------------------------------------

  function make(tag, attributes = {}, ...children) {
    const el = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "click") el.addEventListener("click", value);
      else el.setAttribute(key, value);
    }
    el.append(...children.filter((child) => child !== null));
    return el;
  }
  function draw(tag, attributes, parent) {
    const el = document.createElementNS(SVG, tag);
    for (const [key, value] of Object.entries(attributes)) el.setAttribute(key, value);
    parent.append(el);
  }
  function board(at) {
    const token = data.positions[at];
    if (!token || !token.board) return null;
    const side = 20, svg = document.createElementNS(SVG, "svg");
    for (const [key, value] of Object.entries({ class: "board", width: 162, height: 162, viewBox: "-1 -1 162 162", role: "img" }))
      svg.setAttribute(key, value);
    svg.setAttribute("aria-label", "Board after " + token.text);
    draw("rect", { width: 160, height: 160, fill: "#eef2ee", stroke: "#cdd6cf" }, svg);
    for (let i = 1; i < 8; i++) draw("path", { d: `M${i * side} 0V160M0 ${i * side}H160`, stroke: "#cdd6cf", "stroke-width": 0.6 }, svg);
    const played = token.square;
    if (played !== null) draw("rect", { x: (played % 8) * side, y: (played >> 3) * side, width: side, height: side, fill: "#bccabf" }, svg);
    [...token.board].forEach((piece, i) => {
      const x = (i % 8) * side + side / 2, y = (i >> 3) * side + side / 2;
      if (piece === "x" || piece === "o")
        draw("circle", { cx: x, cy: y, r: 7.6, fill: piece === "x" ? "#1b2430" : "#fff", stroke: "#1b2430", "stroke-width": 0.9 }, svg);
      if (i === played) draw("circle", { cx: x, cy: y, r: 2.4, fill: piece === "x" ? "#fff" : "#1b2430" }, svg);
    });
    if (data.target !== null && at === data.last)
      draw("rect", { x: (data.target % 8) * side, y: (data.target >> 3) * side, width: side, height: side, fill: "none", stroke: "#1660a8", "stroke-width": 3 }, svg);
    return svg;
  }
  function link(index, value, unit, largest) {
    const node = nodes[index], role = verdict(value, unit);
    const bar = make("i");
    bar.style.width = (largest ? (100 * Math.abs(value)) / largest : 0) + "%";
    const name = node.label ? `${node.label} (${node.id})` : node.id;
    return make("li", {}, make("button", { type: "button", "data-node": node.id, title: name, click: () => choose(index, true) },
      make("span", { class: "name" }, name),
      make("span", { class: "value " + role.colour }, number(value)),
      make("span", { class: "bar " + role.colour }, bar)));
  }
  function links(heading, list, unit) {
    const largest = Math.max(...list.map(([, value]) => Math.abs(value)));
    const rest = list.length > 10 ? make("p", { class: "muted" }, `and ${list.length - 10} more`) : null;
    return [make("h3", {}, heading), make("ul", { class: "links" }, ...list.slice(0, 10).map(([i, value]) => link(i, value, unit, largest))), rest];
  }
  function bySign(list, end, heading) {
    const sorted = [...list].sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight) || a.index - b.index);
    return ["helps", "hurts", "raises", "lowers"].flatMap((word) => {
      const part = sorted.filter((edge) => verdict(edge.weight, edge.unit).word === word);
      return part.length ? links(`${heading}, ${word} (${part.length})`, part.map((edge) => [edge[end], edge.weight]), part[0].unit) : [];
    });
  }

  // --- the side panel --------------------------------------------------------------------------------------------------

  let chosen = null, chosenChip = null;

  function show() {
    details.replaceChildren(...content().filter((el) => el !== null));
    $("panel").scrollTop = 0;
  }
  function content() {
    const query = $("search").value.trim();
    if (chosen !== null) return aboutNode(chosen);
    if (chosenChip !== null) {
      const hidden = chips.get(chosenChip);
      return [make("h2", {}, `${hidden.length} nodes without a box`), make("ul", { class: "links" }, ...ranked(hidden).map(([i, v]) => link(i, v, "metric", data.largest)))];
    }
    if (query) {
      const hits = found(query);
      const heading = make("h2", {}, `${hits.length} of ${nodes.length} nodes match`);
      return [heading, make("ul", { class: "links" }, ...ranked(hits).slice(0, 60).map(([i, v]) => link(i, v, "metric", data.largest)))];
    }
    const head = make("h2", {}, data.metric);
    return [head, ...links("Strongest nodes", ranked(strongest.filter((i) => nodes[i].kind !== "target").slice(0, 10)), "metric")];
  }
  function ranked(list) {
    return [...list].sort((a, b) => Math.abs(nodes[b].effect) - Math.abs(nodes[a].effect) || a - b).map((i) => [i, nodes[i].effect]);
  }
  function aboutNode(index) {
    const node = nodes[index], role = verdict(node.effect);
    const rows = [["node", node.id], ["position", position(node)]];
    if (node.site) rows.push(["site", node.site]);
    const facts = make("dl", { id: "facts" }, ...rows.flatMap(([key, value]) => [make("dt", {}, key), make("dd", {}, value)]));
    if (node.kind !== "target")
      facts.append(make("dt", {}, "effect"), make("dd", { class: role.colour }, `${number(node.effect)} ${role.word}`.trim()));
    if (node.activation !== null) facts.append(make("dt", {}, "activation"), make("dd", {}, number(node.activation).replace("+", "")));
    const notes = [];
    if (node.kind === "error") notes.push("What the dictionary leaves unexplained here.");
    if (node.kind === "feature" && node.activation === 0) notes.push("Silent on this input; it wakes when one of its sources is removed.");
    if (chipOf.has(index)) notes.push("Has no box of its own in the picture.");
    return [
      make("h2", {}, title(node)), ...notes.map((note) => make("p", { class: "muted" }, note)), facts, board(node.position),
      ...bySign(into[index], "source", "Comes from"), ...bySign(outOf[index], "target", "Goes to"),
      into[index].length + outOf[index].length ? null : make("p", { class: "muted" }, "No edges in this graph."),
    ];
  }

  // --- choosing and highlighting ---------------------------------------------------------------------------------------

  function keyOf(index) { return drawn.has("n" + index) ? "n" + index : chipOf.get(index); }
  function light(index) {
    for (const el of picture.querySelectorAll(".extra")) el.remove();
    for (const el of picture.querySelectorAll(".on")) el.classList.remove("on");
    picture.classList.toggle("lit", index !== null);
    if (index === null) return;
    drawn.get(keyOf(index))?.classList.add("on");
    for (const edge of [...into[index], ...outOf[index]]) {
      const line = drawn.get("e" + edge.index), ends = [edge.source, edge.target].map((i) => drawn.get("n" + i));
      for (const el of ends) el?.classList.add("on");
      if (line) line.classList.add("on");
      else if (ends[0] && ends[1]) extra(edge, ...ends);
    }
  }
  // Edges too weak for the picture show while one of their ends is looked at.
  function extra(edge, source, target) {
    const from = middles.get(source), to = middles.get(target), y = (from.y + to.y) / 2;
    draw("path", {
      class: "extra on", fill: "none", stroke: getComputedStyle(document.body).getPropertyValue("--" + (verdict(edge.weight, edge.unit).colour || "muted")),
      "stroke-width": 0.7 + 3.6 * Math.min(1, edge.share), d: `M${from.x} ${from.y}C${from.x} ${y} ${to.x} ${y} ${to.x} ${to.y}`,
    }, picture.querySelector(".edges"));
  }
  function relight() {
    const query = $("search").value.trim();
    light(chosen);
    if (chosen === null && query) {
      picture.classList.add("lit");
      for (const i of found(query)) drawn.get(keyOf(i))?.classList.add("on");
    }
  }
  function mark() {
    for (const el of picture.querySelectorAll(".chosen")) el.classList.remove("chosen");
    const key = chosen !== null ? keyOf(chosen) : chosenChip;
    if (key) { drawn.get(key).classList.add("chosen"); rove(drawn.get(key)); }
  }
  function choose(index, bring) {
    chosen = index; chosenChip = null;
    refresh();
    if (bring && index !== null && keyOf(index)) reveal(drawn.get(keyOf(index)));
  }
  function chooseChip(key) { chosen = null; chosenChip = key; refresh(); }
  function refresh() { mark(); relight(); show(); remember(); }
  function found(query) {
    const words = query.toLowerCase().split(/\s+/);
    return strongest.filter((i) => words.every((word) => text[i].includes(word)));
  }

  // --- sliders ---------------------------------------------------------------------------------------------------------

  // A slider at 30 hides the weakest 30 % of what is drawn.
  const sizes = { edges: [], nodes: [] };
  for (const key of drawn.keys()) {
    const i = Number(key.slice(1));
    if (key[0] === "e") sizes.edges.push(edges[i].share);
    else if (key[0] === "n" && data.nodes[i].kind !== "target" && data.nodes[i].kind !== "token") sizes.nodes.push(Math.abs(nodes[i].effect));
  }
  for (const list of Object.values(sizes)) list.sort((a, b) => a - b);
  function threshold(id) {
    const list = sizes[id], share = $(id).value / 100;
    return share && list.length ? list[Math.min(list.length - 1, Math.floor(share * list.length))] : 0;
  }
  function filter() {
    const leastEdge = threshold("edges"), leastNode = threshold("nodes");
    const keeps = nodes.map((node) => node.kind === "target" || node.kind === "token" || Math.abs(node.effect) >= leastNode);
    let shownEdges = 0, shownNodes = 0, allEdges = 0, allNodes = 0;
    for (const [key, el] of drawn) {
      const index = Number(key.slice(1));
      let off = false;
      if (key[0] === "e") {
        const edge = edges[index];
        off = edge.share < leastEdge || !keeps[edge.source] || !keeps[edge.target];
        allEdges++; shownEdges += !off;
      } else if (key[0] === "n") {
        off = !keeps[index];
        allNodes++; shownNodes += !off;
      } else {
        off = leastNode > 0 && !chips.get(key).some((i) => keeps[i]);
      }
      el.classList.toggle("off", off);
    }
    const [unit, ...others] = Object.keys(data.widest);
    const least = others.length ? `${Math.round(100 * leastEdge)} %` : number(leastEdge * data.widest[unit]).slice(1);
    $("edges-shown").textContent = `${leastEdge ? `≥ ${least}: ` : ""}${shownEdges} of ${allEdges}`;
    $("nodes-shown").textContent = `${leastNode ? "≥ " + number(leastNode).slice(1) + ": " : ""}${shownNodes} of ${allNodes}`;
  }

  // --- pan and zoom ----------------------------------------------------------------------------------------------------

  const page = picture.viewBox.baseVal, whole = { x: page.x, y: page.y, w: page.width, h: page.height };
  let view = { ...whole };
  function apply() { picture.setAttribute("viewBox", [view.x, view.y, view.w, view.h].map((v) => v.toFixed(2)).join(" ")); }
  function fit() { view = { x: -10, y: 0, w: whole.w + 20, h: whole.h + 10 }; apply(); }
  function fitWidth() {
    fit();
    const ratio = stage.clientHeight / stage.clientWidth || 1;
    if (whole.h > 1.25 * view.w * ratio) { view.h = view.w * ratio; apply(); }
  }
  function zoom(factor, centre) {
    const width = Math.min(Math.max(view.w * factor, 120), whole.w * 3), scale = width / view.w;
    const at = centre ?? { x: view.x + view.w / 2, y: view.y + view.h / 2 };
    view = { x: at.x - (at.x - view.x) * scale, y: at.y - (at.y - view.y) * scale, w: width, h: view.h * scale };
    apply();
  }
  function point(event) { return new DOMPoint(event.clientX, event.clientY).matrixTransform(picture.getScreenCTM().inverse()); }
  function reveal(el) {
    const box = el.getBBox(), seen = stage.getBoundingClientRect(), now = el.getBoundingClientRect();
    if (now.left > seen.left + 8 && now.right < seen.right - 8 && now.top > seen.top + 8 && now.bottom < seen.bottom - 8) return;
    view.x = box.x + box.width / 2 - view.w / 2;
    view.y = box.y + box.height / 2 - view.h / 2;
    apply();
  }
  stage.addEventListener("wheel", (event) => { event.preventDefault(); zoom(Math.exp(Math.max(-1, Math.min(1, event.deltaY / 300))), point(event)); }, { passive: false });
  let grip = null;
  picture.addEventListener("pointerdown", (event) => { if (event.button === 0) grip = { x: event.clientX, y: event.clientY, at: point(event), moved: false }; });
  window.addEventListener("pointermove", (event) => {
    if (!grip) return;
    if (!grip.moved && Math.hypot(event.clientX - grip.x, event.clientY - grip.y) < 5) return;
    if (!grip.moved) { grip.moved = true; picture.classList.add("moving"); hideTip(); }
    const now = point(event);
    view.x += grip.at.x - now.x; view.y += grip.at.y - now.y;
    apply();
  });
  for (const end of ["pointerup", "pointercancel"])
    window.addEventListener(end, () => { picture.classList.remove("moving"); setTimeout(() => { grip = null; }); });

  // --- pointer: hover and click ----------------------------------------------------------------------------------------

  function keyed(event) { return event.target.closest?.("[data-key]") ?? null; }
  function tipFor(key) {
    const index = Number(key.slice(1));
    if (key[0] === "e") {
      const edge = edges[index], role = verdict(edge.weight, edge.unit);
      return [make("strong", {}, `${title(nodes[edge.source])} → ${title(nodes[edge.target])}`),
        make("div", {}, `${nodes[edge.source].id} → ${nodes[edge.target].id}`), make("div", { class: role.colour }, `${number(edge.weight)} ${role.word}`)];
    }
    if (key[0] === "c") return [make("strong", {}, `${chips.get(key).length} weaker nodes`), make("div", {}, "Choose to list them.")];
    const node = nodes[index], role = verdict(node.effect);
    const lines = [make("strong", {}, title(node)), make("div", {}, node.id + (node.activation === null ? "" : ` · activation ${number(node.activation).slice(1)}`))];
    lines.push(make("div", { class: role.colour }, node.kind === "target" ? data.metric : `effect ${number(node.effect)} ${role.word}`));
    for (const [list, end, arrow] of [[into[index], "source", "←"], [outOf[index], "target", "→"]])
      for (const edge of [...list].sort((a, b) => b.share - a.share).slice(0, 3))
        lines.push(make("div", { class: verdict(edge.weight, edge.unit).colour }, `${arrow} ${title(nodes[edge[end]])} ${number(edge.weight)}`));
    return lines;
  }
  function showTip(key, x, y) {
    tip.replaceChildren(...tipFor(key));
    tip.hidden = false;
    const room = stage.getBoundingClientRect();
    tip.style.left = Math.max(4, Math.min(x - room.left + 14, room.width - tip.offsetWidth - 6)) + "px";
    const below = y - room.top + 16;
    tip.style.top = (below + tip.offsetHeight < room.height ? below : Math.max(4, y - room.top - tip.offsetHeight - 12)) + "px";
  }
  function hideTip() { tip.hidden = true; }
  picture.addEventListener("pointerover", (event) => {
    const el = keyed(event);
    if (grip?.moved || !el) return;
    showTip(el.dataset.key, event.clientX, event.clientY);
    if (el.dataset.key[0] === "n") light(Number(el.dataset.key.slice(1)));
  });
  picture.addEventListener("pointerout", (event) => {
    const el = keyed(event);
    if (!el || el.contains(event.relatedTarget)) return;
    hideTip();
    relight();
  });
  function activate(el) {
    const key = el?.dataset.key ?? "";
    if (key[0] === "n") choose(Number(key.slice(1)), false);
    else if (key[0] === "c") chooseChip(key);
  }
  picture.addEventListener("click", (event) => {
    if (grip?.moved) return;
    const el = keyed(event);
    if (el) activate(el);
    else if (chosen !== null || chosenChip !== null) choose(null, false);
  });

  // --- keyboard --------------------------------------------------------------------------------------------------------

  for (const el of stops) {
    const name = el.querySelector("title");
    el.setAttribute("tabindex", "-1");
    el.setAttribute("role", "button");
    if (name) { el.setAttribute("aria-label", name.textContent.replaceAll("\n", "; ")); name.remove(); }
  }
  function rove(el) {
    for (const other of picture.querySelectorAll('[tabindex="0"]')) other.setAttribute("tabindex", "-1");
    el?.setAttribute("tabindex", "0");
  }
  rove(stops.find((el) => el.classList.contains("node")) ?? stops[0]);
  function step(from, dx, dy) {
    const here = middles.get(from);
    let best = null, least = Infinity;
    for (const el of stops) {
      if (el === from || el.classList.contains("off")) continue;
      const x = middles.get(el).x - here.x, y = middles.get(el).y - here.y;
      const along = x * dx + y * dy, across = Math.abs(x * dy) + Math.abs(y * dx);
      if (along > 1 && along + 3 * across < least) { least = along + 3 * across; best = el; }
    }
    if (best) { rove(best); best.focus({ preventScroll: true }); reveal(best); }
  }
  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.matches?.("input"), stop = event.target.closest?.(".node, .chip");
    if (event.key === "Escape") { $("search").value = ""; hideTip(); choose(null, false); }
    else if (typing) return;
    else if (event.key === "/") { event.preventDefault(); $("search").focus(); $("search").select(); }
    else if (event.key === "+" || event.key === "=") zoom(0.8);
    else if (event.key === "-") zoom(1.25);
    else if (event.key === "0") fit();
    else if (stop && arrows[event.key]) { event.preventDefault(); step(stop, ...arrows[event.key]); }
    else if (stop && (event.key === "Enter" || event.key === " ")) { event.preventDefault(); activate(stop); }
  });
  picture.addEventListener("focusin", (event) => {
    const el = event.target.closest(".node, .chip");
    if (el?.matches(":focus-visible")) { const box = el.getBoundingClientRect(); showTip(el.dataset.key, box.right, box.bottom); }
  });
  picture.addEventListener("focusout", hideTip);

  // --- tools and the address bar ---------------------------------------------------------------------------------------

  $("zoom-in").addEventListener("click", () => zoom(0.8));
  $("zoom-out").addEventListener("click", () => zoom(1.25));
  $("fit").addEventListener("click", fit);
  for (const id of ["edges", "nodes"]) $(id).addEventListener("input", () => { filter(); remember(); });
  $("search").addEventListener("input", () => { chosen = null; chosenChip = null; refresh(); });
  $("search").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !$("search").value.trim()) return;
    const [first] = found($("search").value.trim());
    if (first !== undefined) choose(first, true);
  });

  let written = "";
  function remember() {
    const state = [];
    if (chosen !== null) state.push("node=" + encodeURIComponent(nodes[chosen].id).replaceAll("%3A", ":").replaceAll("%40", "@"));
    if ($("search").value.trim()) state.push("q=" + encodeURIComponent($("search").value.trim()));
    for (const id of ["edges", "nodes"]) if ($(id).value !== "0") state.push(`${id}=${$(id).value}`);
    written = state.length ? "#" + state.join("&") : "";
    try { history.replaceState(null, "", written || location.pathname + location.search); } catch { /* a sandboxed page has no history */ }
  }
  function recall() {
    if (location.hash === written && written) return;
    const state = new URLSearchParams(location.hash.slice(1).replaceAll("+", "%2B"));
    for (const id of ["edges", "nodes"]) $(id).value = String(Math.min(100, Math.max(0, parseInt(state.get(id) ?? "0", 10) || 0)));
    $("search").value = state.get("q") ?? "";
    filter();
    choose(byId.get(state.get("node") ?? "") ?? null, true);
  }
  window.addEventListener("hashchange", recall);
  fitWidth();
  recall();
})();
