"use strict";
// What is known of a feature, as elements of a panel.
function evidenceOf(data, tools, drawn) {
  const { make, choose, byFeature, board } = tools;
  const { HELPS, HURTS } = drawn;

  function number(value) { return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3); }
  function shaded(value, most) {
    const share = most ? Math.min(1, Math.abs(value) / most) : 0;
    const full = [1, 3, 5].map((at) => parseInt((value < 0 ? HURTS : HELPS).slice(at, at + 2), 16));
    return `rgb(${full.map((channel) => Math.round(255 + (channel - 255) * 0.62 * share)).join(" ")})`;
  }
  function visible(text) { return text.replaceAll("\n", "↵").replaceAll("\t", "⇥"); }

  function token(text, value, most, middle) {
    const el = make("span", { class: middle ? "token middle" : "token", title: value ? number(value) : null }, visible(text));
    if (value) el.style.background = shaded(value, most);
    return el;
  }
  function context(one, most, moves, aim) {
    const tokens = one.tokens.map((text, i) => token(text, one.values[i], most, i === one.at));
    const line = make("p", { class: moves ? "context moves" : "context" }, ...tokens);
    const place = make("span", { class: "muted where" }, `${number(one.values[one.at])} · sequence ${one.sequence}, ${moves ? "move " + (one.position + 1) : "position " + one.position}`);
    const played = moves ? square(one.tokens[one.at]) : null;
    return make("li", {}, one.board ? board(one.board, played, "Board after " + one.tokens[one.at], aim) : null, make("div", {}, line, place));
  }
  function square(name) { return /^[A-H][1-8]$/.test(name) ? 8 * (Number(name[1]) - 1) + name.charCodeAt(0) - 65 : null; }

  // Moves on a board, other tokens as a list.
  function effects(one) {
    const both = [...one.raises, ...one.lowers];
    const most = Math.max(...both.map(([, value]) => Math.abs(value)));
    const lists = [["raises", one.raises, "helps"], ["lowers", one.lowers, "hurts"]].map(([word, list, colour]) =>
      make("div", { class: "effects" }, make("span", { class: "muted" }, word + " "), ...list.flatMap(([name, value]) => {
        const el = make("span", { class: "token " + colour, title: number(value) }, visible(name));
        el.style.background = shaded(colour === "helps" ? Math.abs(value) : -Math.abs(value), most * 2.4);
        return [el, " "];
      })));
    const squares = both.map(([name, value]) => [square(name), value]);
    if (squares.some(([place]) => place === null)) return lists;
    const svg = drawn.frame("Squares that the feature speaks for and against", 150);
    for (const [place, value] of squares) {
      const [x, y] = drawn.corner(place);
      drawn.draw("rect", { x: x + 0.5, y: y + 0.5, width: drawn.SIDE - 1, height: drawn.SIDE - 1, fill: shaded(value, most) }, svg);
    }
    return [make("div", { class: "beside" }, svg, make("div", {}, ...lists))];
  }
  function neighbour([name, cosine]) {
    const here = byFeature.get(name);
    const text = [make("span", { class: "name" }, here === undefined ? name : tools.called(here)), make("span", { class: "value" }, cosine.toFixed(2))];
    return make("li", {}, here === undefined ? make("span", { class: "row muted" }, ...text)
      : make("button", { type: "button", class: "row", title: name, click: () => choose(here, true) }, ...text));
  }

  // aim: the square that the feature's label speaks of.
  return function about(name, label) {
    const aim = square(label.slice(0, 2).toUpperCase());
    const one = data.features[name];
    if (!one) return [];
    const parts = [];
    if (one.explanation) parts.push(make("h3", {}, "Neuronpedia says"), make("p", { class: "said" }, one.explanation));
    if (one.contexts) {
      const most = Math.max(...one.contexts.flatMap((c) => c.values.map(Math.abs)));
      const moves = one.contexts.every((c) => c.board && c.tokens.every((t) => square(t) !== null));
      parts.push(make("h3", {}, "Fires most strongly"), make("ul", { class: "contexts" }, ...one.contexts.map((c) => context(c, most, moves, aim))));
    }
    if (one.raises) parts.push(make("h3", {}, "Speaks by itself for and against"), ...effects(one));
    if (one.near) parts.push(make("h3", {}, "Similar features (cosine)"), make("ul", { class: "links near" }, ...one.near.map(neighbour)));
    return parts;
  };
}
