"""Graphs for the tests: one made by hand with known content, and generated ones of any size."""

from __future__ import annotations

import dataclasses
import random

from saecli.core.address import Address, parse_address
from saecli.core.graph import Edge, FeatureGraph, Metric, Node, Position

_GAME = (
    "F5D6C3D3C4F4F6F3E6E7D7C5B6G5E3D2C6B5A6B4G4H4C2C1F7A5A4H3G3G6H5B3D8C7E8"
    "F8E2D1B7A8C8B8G8H8G7H7H6A7E1F1F2G1B2A1H2G2H1B1A2"
)
MOVES = [_GAME[i : i + 2] for i in range(0, len(_GAME), 2)]
START = "." * 27 + "ox" + "." * 6 + "xo" + "." * 27


def hand_made() -> FeatureGraph:
    """Twelve nodes on three moves: 1 target, 8 features, 1 error, 2 tokens; removing what helps lowers the metric."""
    nodes = {
        "target@2": (0.0, None, ""),
        "8:331@2": (-1.5, 3.0, "F5 legal .88"),
        "8:17@2": (0.5, 1.0, "B4 empty .95"),
        "7.mlp_out:44@2": (-1.0, 2.0, ""),
        "7.mlp_out:error@2": (0.25, 4.5, ""),
        "7.attn_out:9@2": (-0.5, 0.7, "D6 flips .84"),
        "7:5@0": (-0.25, 0.5, "E6 mine .91"),
        "7:5@2": (-0.75, 1.5, "E6 mine .91"),
        "7:6@1": (0.125, 0.25, ""),
        "7:7@1": (-0.0625, 0.125, ""),
        "token:19@0": (0.0, None, ""),
        "token:26@2": (0.0, None, ""),
    }
    edges = {
        ("8:331@2", "target@2"): -1.5,
        ("8:17@2", "target@2"): 0.5,
        ("7.mlp_out:44@2", "8:331@2"): -1.0,
        ("7.mlp_out:error@2", "8:17@2"): 0.25,
        ("7.attn_out:9@2", "8:331@2"): -0.4,
        ("7.attn_out:9@2", "8:17@2"): -0.1,
        ("7:5@0", "7.attn_out:9@2"): -0.25,
        ("7:5@2", "7.mlp_out:44@2"): -0.75,
        ("7:6@1", "7.attn_out:9@2"): 0.125,
        ("7:7@1", "7.attn_out:9@2"): -0.0625,
        ("token:19@0", "7:5@0"): -0.2,
        ("token:26@2", "7:5@2"): -0.5,
    }
    return FeatureGraph(
        title="othello-mini · why F5?",
        method="gradient",
        edge_meaning="metric",
        metric=Metric("logit-over-illegal", "Logit of F5 minus the mean logit of the illegal squares.", 4.125, 1, "F5"),
        positions=(
            Position(19, "D3", "move 1", START),
            Position(20, "C5", "move 2", "." * 19 + "x" + "." * 7 + "xx" + "." * 6 + "xo" + "." * 27),
            Position(26, "F6", "move 3", START),
        ),
        sites=("7", "7.attn_out", "7.mlp_out", "8"),
        nodes=tuple(Node(parse_address(i), effect, act, label) for i, (effect, act, label) in nodes.items()),
        edges=tuple(Edge(parse_address(s), parse_address(t), weight) for (s, t), weight in edges.items()),
        totals={
            "absolute_effect": 6.0,
            "kept_absolute_effect": 4.9375,
            "active_nodes": 120.0,
            "error_absolute_effect": 0.75,
        },
        provenance={"model": "othello-mini"},
        settings={"top_nodes": 20},
    )


def generated(
    count: int,
    positions: int,
    sites: tuple[str, ...],
    seed: int = 0,
    *,
    labelled: bool = True,
    boards: bool = True,
    tokens: bool = False,
    per_child: int = 6,
    late: float = 0.5,
) -> FeatureGraph:
    """A random graph whose nodes lean towards the last position, as circuits do.

    Args:
        count: Number of features and errors.
        positions: Length of the input.
        sites: Rows.
        seed: Of everything random.
        labelled: Whether features have labels.
        boards: Whether positions have boards.
        tokens: Whether there are token nodes.
        per_child: Edges into every node.
        late: Share of the nodes at the last position.
    """
    rng = random.Random(seed)
    last = positions - 1
    names = [f"{c}{r} {what}" for c in "ABCDEFGH" for r in range(1, 9) for what in ("mine", "yours", "empty", "legal")]
    nodes: dict[Address, Node] = {}
    for _ in range(count * 3):
        if len(nodes) == count:
            break
        site = rng.choice(sites)
        position = last if rng.random() < late else rng.randrange(positions)
        index = "error" if rng.random() < 0.06 else str(rng.randrange(1024))
        address = parse_address(f"{site}:{index}@{position}")
        effect = -rng.choice((1, 1, -1)) * rng.lognormvariate(-3, 1.2) * (2 if position == last else 1)
        label = f"{rng.choice(names)} .{rng.randrange(80, 99)}" if labelled and address.kind == "feature" else ""
        nodes[address] = Node(address, effect, rng.lognormvariate(0, 0.5), label)
    if tokens:
        for position in sorted({a.position or 0 for a in nodes}):
            nodes[address] = Node(address := Address("token", None, position, position), 0.0)
    target = Address("target", None, None, last)
    nodes[target] = Node(target, 0.0)
    depth = {a: (99, 0) if a.kind == "target" else (-1, 0) if a.site is None else a.site.depth for a in nodes}
    everyone = list(nodes)
    edges: dict[tuple[Address, Address], Edge] = {}
    for child in nodes:
        found = 0
        for parent in rng.choices(everyone, k=12 * per_child):
            near = parent.position == child.position or rng.random() < 0.15
            if found < per_child and near and depth[parent] < depth[child] and parent.position <= child.position:
                weight = rng.choice((-1, -1, 1)) * rng.lognormvariate(-4, 1.3)
                found += (parent, child) not in edges
                edges[parent, child] = Edge(parent, child, weight)
    total = sum(abs(n.effect) for n in nodes.values())
    stones = []
    for _ in range(positions):
        stones.append("".join(rng.choice("xo...") for _ in range(64)))
    return FeatureGraph(
        title="othello-mini · why F5?" if boards else "gpt2 · why does “ to” follow?",
        method="gradient",
        edge_meaning="metric",
        metric=Metric("logit-over-illegal", "Logit of F5 minus the mean logit of the illegal squares", 4.1, 1, "F5"),
        positions=tuple(
            Position(
                i,
                MOVES[i % 59] if boards else f" tok{i}",
                f"move {i + 1}" if boards else "",
                stones[i] if boards else None,
            )
            for i in range(positions)
        ),
        sites=sites,
        nodes=tuple(nodes.values()),
        edges=tuple(edges.values()),
        totals={
            "absolute_effect": total * 1.2,
            "kept_absolute_effect": total,
            "active_nodes": 9306.0,
            "error_absolute_effect": total * 0.1,
        },
    )


DEFAULT_SITES = ("6", "6.attn_out", "6.mlp_out", "7", "7.attn_out", "7.mlp_out", "8")
ALL_SITES = (*(f"{layer}{kind}" for layer in range(8) for kind in ("", ".attn_out", ".mlp_out")), "8")

HOSTILE = "</script><script>alert(1)</script><b>&\"'`\u2028\u202e=cmd|' /C calc'!A0\n{{7*7}}\\N\x00\ud800"
"""A label that breaks out of whatever is not escaped."""


def without_positions(graph: FeatureGraph) -> FeatureGraph:
    """The same graph with nodes that stand for every position, as ablation at all positions makes it."""
    return dataclasses.replace(
        graph,
        nodes=tuple(dataclasses.replace(node, address=node.address.at(None)) for node in graph.nodes),
        edges=tuple(
            dataclasses.replace(edge, source=edge.source.at(None), target=edge.target.at(None)) for edge in graph.edges
        ),
        positions=(),
        method="ablation",
        edge_meaning="activation",
    )


def hostile() -> FeatureGraph:
    """The hand-made graph with an attack in every text that comes from a model or a hub."""
    graph = hand_made()
    return dataclasses.replace(
        graph,
        title=f"why {HOSTILE}?",
        metric=dataclasses.replace(graph.metric, target=HOSTILE, description=HOSTILE, name="=1+1"),
        positions=tuple(dataclasses.replace(p, text=HOSTILE, note=HOSTILE) for p in graph.positions),
        nodes=tuple(dataclasses.replace(n, label=HOSTILE) for n in graph.nodes),
    )
