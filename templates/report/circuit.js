"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const picture = $("picture"), stage = $("stage"), tip = $("tip"), details = $("details");
  const kit = drawing(data), { make, draw } = kit;

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
  const stops = () => [...picture.querySelectorAll(".node:not(.off):not(.inside), .chip:not(.off)")];
  function frameOf(el) { return ["x", "y", "width", "height"].map((name) => Number(el.querySelector("rect").getAttribute(name))); }
  function middle(el) {
    const [x, y, w, h] = frameOf(el);
    return { x: x + w / 2, y: y + h / 2 };
  }
  const groups = groupsOf(data), picked = new Set();
  let owner = new Map(), sums = [];

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

  // --- the side panel --------------------------------------------------------------------------------------------------

  function board(text, played, label, target = null) {
    return kit.position({ board: text, last: played === null || played === undefined ? [] : [played] }, label, 170, null, target);
  }
  function boardAt(at) {
    const token = data.positions[at];
    return token && token.board ? board(token.board, token.square, "Board after " + token.text, at === data.last ? data.target : null) : null;
  }
  function called(index) { return nodes[index].label ? `${nodes[index].label} (${nodes[index].id})` : nodes[index].id; }
  function row(name, value, unit, largest, attributes) {
    const role = verdict(value, unit), bar = make("i");
    bar.style.width = (largest ? (100 * Math.abs(value)) / largest : 0) + "%";
    return make("li", {}, make("button", { type: "button", title: name, ...attributes },
      make("span", { class: "name" }, name), make("span", { class: "value " + role.colour }, number(value)), make("span", { class: "bar " + role.colour }, bar)));
  }
  function link(index, value, unit, largest) {
    return row(called(index), value, unit, largest, { "data-node": nodes[index].id, click: () => choose(index, true) });
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

  let chosen = null, chosenChip = null, chosenGroup = null;

  function show() {
    details.replaceChildren(...content().filter((el) => el !== null));
    $("panel").scrollTop = 0;
  }
  function content() {
    const query = $("search").value.trim();
    if (picked.size) return aboutPicked();
    if (chosen !== null) return aboutNode(chosen);
    if (chosenGroup !== null) return aboutGroup(chosenGroup);
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
    return [head, ...links("Strongest nodes", ranked(strongest.filter((i) => nodes[i].kind !== "target").slice(0, 10)), "metric"), ...groupList()];
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
      make("h2", {}, title(node)),
      data.pages[featureOf(node)] ? make("p", {}, make("a", { href: data.pages[featureOf(node)] }, "Its own page")) : null,
      ...notes.map((note) => make("p", { class: "muted" }, note)), facts, boardAt(node.position),
      ...bySign(into[index], "source", "Comes from"), ...bySign(outOf[index], "target", "Goes to"),
      into[index].length + outOf[index].length ? null : make("p", { class: "muted" }, "No edges in this graph."),
      ...evidence(featureOf(node), node.label),
    ];
  }
  function featureOf(node) { return node.id.replace(/@\d+$/, ""); }
  const byFeature = new Map();
  for (const i of [...strongest].reverse()) if (nodes[i].kind === "feature") byFeature.set(featureOf(nodes[i]), i);
  const evidence = evidenceOf(data, { make, choose: (i, bring) => choose(i, bring), byFeature, called, board }, kit);

  // --- groups ----------------------------------------------------------------------------------------------------------

  function total(members) { return members.reduce((sum, i) => sum + nodes[i].effect, 0); }
  function groupList() {
    const rows = groups.all().map((one, at) => [at, total(one.members)]);
    if (!rows.length) return [];
    rows.sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]) || a[0] - b[0]);
    const shown = rows.slice(0, 30).map(([at, effect]) =>
      row(`${groups.all()[at].name} (${groups.all()[at].members.length})`, effect, "metric", Math.abs(rows[0][1]), { click: () => chooseGroup(at, true) }));
    const rest = rows.length > 30 ? make("p", { class: "muted" }, `and ${rows.length - 30} more`) : null;
    return [make("h3", {}, `Groups (${rows.length}), sums of effects`), make("ul", { class: "links" }, ...shown), rest];
  }
  function endName(end) { return typeof end === "string" ? groups.all()[Number(end.slice(1))].name : called(end); }
  function sumRow(edge, end, largest) {
    const other = edge[end];
    const click = () => (typeof other === "string" ? chooseGroup(Number(other.slice(1)), true) : choose(other, true));
    return row(endName(other), edge.weight, edge.unit, largest, { title: `sum of ${edge.edges} edges`, click });
  }
  function sumsBySign(own) {
    const parts = [];
    for (const [end, other, heading] of [["target", "source", "Comes from"], ["source", "target", "Goes to"]]) {
      const list = sums.filter((edge) => edge[end] === own).sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight));
      for (const word of ["helps", "hurts", "raises", "lowers"]) {
        const part = list.filter((edge) => verdict(edge.weight, edge.unit).word === word);
        if (!part.length) continue;
        parts.push(make("h3", {}, `${heading}, ${word} (${part.length})`), make("ul", { class: "links" }, ...part.slice(0, 10).map((edge) => sumRow(edge, other, Math.abs(part[0].weight)))));
        if (part.length > 10) parts.push(make("p", { class: "muted" }, `and ${part.length - 10} more`));
      }
    }
    return parts;
  }
  function aboutGroup(at) {
    const one = groups.all()[at], effect = total(one.members), role = verdict(effect);
    const facts = make("dl", { id: "facts" }, make("dt", {}, "group of"), make("dd", {}, `${one.members.length} nodes`),
      make("dt", {}, "effects sum to"), make("dd", { class: role.colour }, `${number(effect)} ${role.word}`.trim()));
    const undo = make("button", { type: "button", class: "act", id: "ungroup", click: () => { groups.remove(one.name); chosenGroup = null; regroup(); } }, "Ungroup");
    return [make("h2", {}, one.name), facts, undo, ...sumsBySign("s" + at), ...links("Its nodes", ranked(one.members), "metric")];
  }
  function aboutPicked() {
    const list = [...picked];
    const name = make("input", { id: "group-name", type: "text", placeholder: "name", "aria-label": "Name of the group", maxlength: "60", autocomplete: "off" });
    name.value = nodes[list[0]].label ? groups.plain(nodes[list[0]].label) : "";
    name.addEventListener("keydown", (event) => { if (event.key === "Enter") group(); });
    const form = make("div", { class: "naming" }, name, make("button", { type: "button", class: "act", id: "group", click: group }, "Group"),
      make("button", { type: "button", class: "act", click: () => { picked.clear(); refresh(); } }, "Clear"));
    return [make("h2", {}, `${list.length} node${list.length > 1 ? "s" : ""} selected`), make("p", { class: "muted" }, "Shift-click a node, or press s on it, to add or remove it."),
      form, ...links("Selected", ranked(list), "metric")];
  }
  function group() {
    const name = $("group-name").value.trim();
    if (!name) { $("group-name").focus(); return; }
    groups.add(name, [...picked]);
    picked.clear();
    chosen = null; chosenChip = null;
    $("merge").checked = true;
    regroup();
    chooseGroup(groups.all().findIndex((one) => one.name === name), false);
  }
  function pick(index) {
    if (nodes[index].kind === "target") return;
    if (!picked.delete(index)) picked.add(index);
    refresh();
  }
  // Groups as one box each, where their strongest node has its place, with edges that are sums.
  function regroup() {
    for (const el of picture.querySelectorAll(".super, .sum")) { drawn.delete(el.dataset.key); el.remove(); }
    for (const el of picture.querySelectorAll(".inside")) el.classList.remove("inside");
    owner = new Map(); sums = [];
    for (const el of document.querySelectorAll(".if-groups")) el.hidden = !groups.all().length;
    if ($("merge").checked && groups.all().length) {
      owner = groups.owners();
      sums = groups.merged(edges);
      groups.all().forEach(superNode);
      for (const [key, el] of drawn) {
        const i = Number(key.slice(1));
        if (key[0] === "n" && owner.has(i)) el.classList.add("inside");
        if (key[0] === "e" && (owner.has(edges[i].source) || owner.has(edges[i].target))) el.classList.add("inside");
      }
      sums.forEach(sumEdge);
    }
    filter();
    refresh();
  }
  function superNode(one, at) {
    const members = one.members.filter((i) => owner.get(i) === at), within = new Set(members);
    const place = strongest.find((i) => within.has(i) && drawn.has("n" + i));
    if (place === undefined) return;
    const [x, y, w, h] = frameOf(drawn.get("n" + place)), effect = total(members);
    const el = draw("g", { class: "node super", "data-key": "s" + at, tabindex: "-1", role: "button", "aria-label": `group ${one.name}, ${members.length} nodes, effect ${number(effect)}` }, picture.querySelector(".nodes"));
    const full = verdict(effect).colour === "hurts" ? kit.HURTS : kit.HELPS;
    const share = data.largest ? Math.min(1, Math.sqrt(Math.abs(effect) / data.largest)) : 0;
    draw("rect", { x, y, width: w, height: h, rx: 5, fill: "#fff", stroke: full }, el);
    draw("rect", { class: "behind", x: x + 3, y: y + 3, width: w, height: h, rx: 5, fill: "none", stroke: full }, el);
    draw("rect", { class: "shade", x, y, width: w, height: h, rx: 5, fill: full, "fill-opacity": 0.08 + 0.92 * share }, el);
    const tail = ` ×${members.length}`, room = Math.max(3, Math.floor(w / 5.6) - tail.length);
    const label = draw("text", { x: x + w / 2, y: y + h / 2 + 3.6, "font-size": 10, "text-anchor": "middle", fill: share > 0.5 ? "#fff" : "#000" }, el);
    label.textContent = (one.name.length > room ? one.name.slice(0, room - 1) + "…" : one.name) + tail;
    drawn.set("s" + at, el);
  }
  function endBox(end) { return drawn.get(typeof end === "string" ? end : keyOf(end)); }
  function sumEdge(edge, at) {
    const ends = [endBox(edge.source), endBox(edge.target)];
    const share = data.widest[edge.unit] ? Math.min(1, Math.abs(edge.weight) / data.widest[edge.unit]) : 0;
    if (!ends[0] || !ends[1] || ends[0] === ends[1] || share < leastDrawn) return;
    const line = draw("path", {
      class: "sum", "data-key": "m" + at, fill: "none", stroke: verdict(edge.weight, edge.unit).colour === "hurts" ? kit.HURTS : kit.HELPS,
      "stroke-width": 0.7 + 3.6 * share, "stroke-opacity": 0.13 + 0.72 * share ** 0.8, d: curve(middle(ends[0]), middle(ends[1])),
    }, picture.querySelector(".edges"));
    drawn.set("m" + at, line);
  }
  function curve(from, to) {
    const y = (from.y + to.y) / 2;
    return `M${from.x} ${from.y}C${from.x} ${y} ${to.x} ${y} ${to.x} ${to.y}`;
  }

  // --- choosing and highlighting ---------------------------------------------------------------------------------------

  function keyOf(index) {
    if (owner.has(index)) return drawn.has("s" + owner.get(index)) ? "s" + owner.get(index) : undefined;
    return drawn.has("n" + index) ? "n" + index : chipOf.get(index);
  }
  function unlight() {
    for (const el of picture.querySelectorAll(".extra")) el.remove();
    for (const el of picture.querySelectorAll(".on")) el.classList.remove("on");
  }
  function light(index) {
    unlight();
    picture.classList.toggle("lit", index !== null);
    if (index === null) return;
    drawn.get(keyOf(index))?.classList.add("on");
    lightSums(owner.has(index) ? "s" + owner.get(index) : index);
    if (owner.has(index)) return;
    for (const edge of [...into[index], ...outOf[index]]) {
      const line = drawn.get("e" + edge.index), ends = [edge.source, edge.target].map((i) => drawn.get("n" + i));
      if (owner.has(edge.source) || owner.has(edge.target)) continue;
      for (const el of ends) el?.classList.add("on");
      if (line) line.classList.add("on");
      else if (ends[0] && ends[1]) extra(edge, ...ends);
    }
  }
  function lightSums(end) {
    for (const [at, edge] of sums.entries()) {
      if (edge.source !== end && edge.target !== end) continue;
      drawn.get("m" + at)?.classList.add("on");
      for (const one of [edge.source, edge.target]) endBox(one)?.classList.add("on");
    }
  }
  function lightGroup(at) {
    unlight();
    picture.classList.add("lit");
    drawn.get("s" + at)?.classList.add("on");
    lightSums("s" + at);
  }
  // Edges too weak for the picture show while one of their ends is looked at.
  function extra(edge, source, target) {
    draw("path", {
      class: "extra on", fill: "none", stroke: getComputedStyle(document.body).getPropertyValue("--" + (verdict(edge.weight, edge.unit).colour || "muted")),
      "stroke-width": 0.7 + 3.6 * Math.min(1, edge.share), d: curve(middle(source), middle(target)),
    }, picture.querySelector(".edges"));
  }
  function relight() {
    const query = $("search").value.trim();
    light(chosen);
    if (chosenGroup !== null) lightGroup(chosenGroup);
    else if (chosen === null && query) {
      picture.classList.add("lit");
      for (const i of found(query)) drawn.get(keyOf(i))?.classList.add("on");
    }
  }
  function mark() {
    for (const el of picture.querySelectorAll(".chosen, .picked")) el.classList.remove("chosen", "picked");
    for (const i of picked) drawn.get(keyOf(i))?.classList.add("picked");
    const key = chosen !== null ? keyOf(chosen) : chosenGroup !== null ? "s" + chosenGroup : chosenChip;
    if (key && drawn.has(key)) { drawn.get(key).classList.add("chosen"); rove(drawn.get(key)); }
  }
  function choose(index, bring) {
    chosen = index; chosenChip = null; chosenGroup = null;
    picked.clear();
    refresh();
    if (bring && index !== null && keyOf(index)) reveal(drawn.get(keyOf(index)));
  }
  function chooseChip(key) { chosen = null; chosenChip = key; chosenGroup = null; picked.clear(); refresh(); }
  function chooseGroup(at, bring) {
    chosen = null; chosenChip = null; chosenGroup = at;
    picked.clear();
    refresh();
    if (bring && drawn.has("s" + at)) reveal(drawn.get("s" + at));
  }
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
  const leastDrawn = sizes.edges[0] ?? 0;
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
      if (key[0] === "s") continue;
      if (key[0] === "m") {
        off = Math.abs(sums[index].weight) < leastEdge * data.widest[sums[index].unit];
      } else if (key[0] === "e") {
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
    if (key[0] === "m") {
      const edge = sums[index], role = verdict(edge.weight, edge.unit);
      return [make("strong", {}, `${endName(edge.source)} → ${endName(edge.target)}`), make("div", { class: role.colour }, `${number(edge.weight)} ${role.word}`), make("div", {}, `sum of ${edge.edges} edges`)];
    }
    if (key[0] === "s") return [make("strong", {}, groups.all()[index].name), make("div", {}, `${groups.all()[index].members.length} nodes as one`)];
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
    if (el.dataset.key[0] === "s") lightGroup(Number(el.dataset.key.slice(1)));
  });
  picture.addEventListener("pointerout", (event) => {
    const el = keyed(event);
    if (!el || el.contains(event.relatedTarget)) return;
    hideTip();
    relight();
  });
  function activate(el, select) {
    const key = el?.dataset.key ?? "";
    if (key[0] === "n" && select) pick(Number(key.slice(1)));
    else if (key[0] === "s") chooseGroup(Number(key.slice(1)), false);
    else if (key[0] === "n") choose(Number(key.slice(1)), false);
    else if (key[0] === "c") chooseChip(key);
  }
  picture.addEventListener("click", (event) => {
    if (grip?.moved) return;
    const el = keyed(event);
    if (el) activate(el, event.shiftKey);
    else if (chosen !== null || chosenChip !== null || chosenGroup !== null) choose(null, false);
  });

  // --- keyboard --------------------------------------------------------------------------------------------------------

  for (const el of stops()) {
    const name = el.querySelector("title");
    el.setAttribute("tabindex", "-1");
    el.setAttribute("role", "button");
    if (name) { el.setAttribute("aria-label", name.textContent.replaceAll("\n", "; ")); name.remove(); }
  }
  function rove(el) {
    for (const other of picture.querySelectorAll('[tabindex="0"]')) other.setAttribute("tabindex", "-1");
    el?.setAttribute("tabindex", "0");
  }
  rove(stops().find((el) => el.classList.contains("node")) ?? stops()[0]);
  function step(from, dx, dy) {
    const here = middle(from);
    let best = null, least = Infinity;
    for (const el of stops()) {
      if (el === from) continue;
      const at = middle(el), x = at.x - here.x, y = at.y - here.y;
      const along = x * dx + y * dy, across = Math.abs(x * dy) + Math.abs(y * dx);
      if (along > 1 && along + 3 * across < least) { least = along + 3 * across; best = el; }
    }
    if (best) { rove(best); best.focus({ preventScroll: true }); reveal(best); }
  }
  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.matches?.("input:not([type=checkbox])"), stop = event.target.closest?.(".node, .chip");
    if (event.key === "Escape") { $("search").value = ""; hideTip(); choose(null, false); }
    else if (typing) return;
    else if (event.key === "/") { event.preventDefault(); $("search").focus(); $("search").select(); }
    else if (event.key === "+" || event.key === "=") zoom(0.8);
    else if (event.key === "-") zoom(1.25);
    else if (event.key === "0") fit();
    else if (stop && arrows[event.key]) { event.preventDefault(); step(stop, ...arrows[event.key]); }
    else if (stop && event.key === "s") activate(stop, true);
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
  $("search").addEventListener("input", () => { chosen = null; chosenChip = null; chosenGroup = null; picked.clear(); refresh(); });
  $("merge").addEventListener("change", () => { chosenGroup = null; regroup(); });
  $("by-label").addEventListener("click", () => { groups.set(groups.byLabel()); chosenGroup = null; $("merge").checked = true; regroup(); });
  $("save").addEventListener("click", () => {
    const text = JSON.stringify({ schema: "saecli.supernodes/1", title: document.title, supernodes: groups.write() }, null, 1);
    const anchor = make("a", { href: URL.createObjectURL(new Blob([text + "\n"], { type: "application/json" })), download: "supernodes.json" });
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(anchor.href), 1000);
  });
  $("search").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !$("search").value.trim()) return;
    const [first] = found($("search").value.trim());
    if (first !== undefined) choose(first, true);
  });

  let written = "";
  const original = JSON.stringify(groups.write());
  const labelled = JSON.stringify(groups.write(groups.byLabel()));
  function remember() {
    const state = [];
    if (chosen !== null) state.push("node=" + encodeURIComponent(nodes[chosen].id).replaceAll("%3A", ":").replaceAll("%40", "@"));
    if (chosenGroup !== null) state.push("group=" + encodeURIComponent(groups.all()[chosenGroup].name));
    const made = JSON.stringify(groups.write());
    if (made !== original) state.push("groups=" + (made === labelled ? "label" : encodeURIComponent(made)));
    if (groups.all().length && !$("merge").checked) state.push("merge=0");
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
    $("merge").checked = state.get("merge") !== "0";
    const kept = state.get("groups") === "label" ? labelled : state.get("groups") ?? original;
    try { groups.read(JSON.parse(kept), byId); } catch { groups.read(JSON.parse(original), byId); }
    const wanted = [state.get("node"), state.get("group")];
    chosenGroup = null;
    regroup();
    const at = groups.all().findIndex((one) => one.name === wanted[1]);
    if (at >= 0) chooseGroup(at, true);
    else choose(byId.get(wanted[0] ?? "") ?? null, true);
  }
  window.addEventListener("hashchange", recall);
  fitWidth();
  recall();
})();
