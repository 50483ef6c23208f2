"use strict";
// Groups of nodes under one name: which there are, how they are written, what their edges sum to.
function groupsOf(data) {
  const { nodes } = data;
  let groups = Object.entries(data.supernodes).map(([name, members]) => ({ name, members: [...members] }));

  // Effects of a board-state label without its score: D4 mine, F1 .93 and D4 mine, F1 .88 are one name.
  function plain(label) { return label.replace(/, F1 [\d.]+$/, ""); }

  return {
    all: () => groups,
    plain,
    set(list) { groups = list.filter((one) => one.name && one.members.length); },
    add(name, members) {
      for (const one of groups) if (one.name !== name) one.members = one.members.filter((i) => !members.includes(i));
      const same = groups.find((one) => one.name === name);
      if (same) same.members = [...new Set([...same.members, ...members])];
      else groups.push({ name, members: [...members] });
      groups = groups.filter((one) => one.members.length);
    },
    remove(name) { groups = groups.filter((one) => one.name !== name); },
    // The groups of nodes that have one label, two nodes or more.
    byLabel() {
      const found = new Map();
      nodes.forEach((node, i) => {
        if (node.kind !== "feature" || !node.label) return;
        const name = plain(node.label);
        found.set(name, [...(found.get(name) ?? []), i]);
      });
      return [...found].filter(([, members]) => members.length > 1).map(([name, members]) => ({ name, members }));
    },
    // Node → number of its group, the first if it is in several.
    owners() {
      const owner = new Map();
      groups.forEach((one, number) => one.members.forEach((i) => { if (!owner.has(i)) owner.set(i, number); }));
      return owner;
    },
    // Edges between what is left when every group is one node: ends are numbers of nodes, or "s" and that of a group.
    merged(edges) {
      const owner = this.owners(), sums = new Map();
      const end = (i) => (owner.has(i) ? "s" + owner.get(i) : i);
      for (const edge of edges) {
        if (!owner.has(edge.source) && !owner.has(edge.target)) continue;
        const source = end(edge.source), target = end(edge.target);
        if (source === target) continue;
        const key = `${source}>${target}`;
        const sum = sums.get(key) ?? { source, target, weight: 0, unit: edge.unit, edges: 0 };
        sum.weight += edge.weight;
        sum.edges++;
        sums.set(key, sum);
      }
      return [...sums.values()];
    },
    write(list = groups) { return Object.fromEntries(list.map((one) => [one.name, one.members.map((i) => nodes[i].id)])); },
    read(found, byId) {
      this.set(Object.entries(found).map(([name, ids]) => ({ name, members: ids.map((id) => byId.get(id)).filter((i) => i !== undefined) })));
    },
  };
}
