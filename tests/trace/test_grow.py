"""``saecli trace --extend`` and ``--first-fraction``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

GAME = "f5d6c3d3c4f4"
QUICK = ("--threads", "1", "--device", "cpu", "--dtype", "float64")
WHOLE = ("--keep", "1", "--top-edges", "100000")


@pytest.fixture
def trace(tiny, saecli, tmp_path):
    """Traces; returns the graph."""

    def run(name: str, *flags: str, game: str = GAME) -> dict:
        done = saecli("trace", tiny, "--game", game, "--out", name, *QUICK, *flags)
        assert done.code == 0, done.err
        return json.loads((tmp_path / name / "graph.json").read_text())

    return run


def numbers(graph: dict) -> tuple[dict[str, float], dict[tuple[str, str], float]]:
    nodes = {node["id"]: node["effect"] for node in graph["nodes"]}
    return nodes, {(edge["source"], edge["target"]): edge["weight"] for edge in graph["edges"]}


@pytest.mark.parametrize(
    "flags",
    [
        (),
        pytest.param(("--method", "ig", "--steps", "3"), marks=pytest.mark.slow),
        pytest.param(("--method", "ablation"), marks=pytest.mark.slow),
        pytest.param(("--method", "ablation", "--positions", "all"), marks=pytest.mark.slow),
        pytest.param(("--patch", "f5f6e6f4g5d6"), marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(("first", "then"), [("1:", ":2"), (":2", "1:")], ids=["down", "up"])
def test_two_halves_are_the_whole(flags, first, then, trace, tmp_path) -> None:
    """Node by node, edge by edge, and in what is said of all active nodes; nothing twice."""
    whole = trace("whole", *WHOLE, *flags)
    trace("first", *WHOLE, "--layers", first, *flags)
    both = trace("both", *WHOLE, "--layers", then, "--extend", "first", *flags)
    assert both["sites"] == whole["sites"]
    assert len(both["nodes"]) == len({node["id"] for node in both["nodes"]})
    (nodes, edges), (wanted_nodes, wanted_edges) = numbers(both), numbers(whole)
    if "ablation" in flags:  # which silent features are shown is a choice at every site of each trace
        active = {node["id"] for node in whole["nodes"] if node["activation"] or node["effect"]}
        wanted_nodes = {name: effect for name, effect in wanted_nodes.items() if name in active}
        nodes = {name: effect for name, effect in nodes.items() if name in active}
        wanted_edges = {pair: weight for pair, weight in wanted_edges.items() if pair[1] in {*active, "target@5"}}
        edges = {pair: weight for pair, weight in edges.items() if pair[1] in {*active, "target@5"}}
    assert set(nodes) == set(wanted_nodes)
    assert nodes == pytest.approx(wanted_nodes, rel=1e-9, abs=1e-12)
    assert set(edges) == set(wanted_edges)
    assert edges == pytest.approx(wanted_edges, rel=1e-6, abs=1e-9)
    for name in ("absolute_effect", "active_nodes", "error_absolute_effect"):
        assert both["totals"][name] == pytest.approx(whole["totals"][name], rel=1e-9), name
    assert (tmp_path / "both/graph.html").is_file()


def test_the_stored_graph_decides_where_both_meet(trace) -> None:
    """Only its nodes at the shared site lead on; edges over what is now resolved are gone; the input stays as it is."""
    upper = trace("upper", "--layers", "1:", "--top-nodes", "2", "--top-edges", "1000")
    both = trace("both", "--layers", ":2", "--top-nodes", "3", "--top-edges", "1000", "--extend", "upper/graph.json")

    def at(graph: dict, site: str) -> set[str]:
        return {node["id"] for node in graph["nodes"] if node["id"].partition(":")[0] == site}

    assert at(both, "1") == at(upper, "1")
    assert len(at(both, "0")) == 3
    assert {node["id"] for node in upper["nodes"] if "token" not in node["id"]} <= {n["id"] for n in both["nodes"]}
    sources = {edge["source"] for edge in both["edges"] if edge["target"].startswith("1:")}
    assert any(name.startswith("0") for name in sources)
    assert not any(name.startswith("token") for name in sources)  # they come in at 0 now
    assert both["settings"]["extended"]["layers"] == "1:"
    kept = sum(abs(n["effect"]) for n in both["nodes"] if "token" not in n["id"] and "target" not in n["id"])
    assert both["totals"]["kept_absolute_effect"] == pytest.approx(kept)


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (("--game", "f5f6e6f4g5d6", "--layers", ":2"), 3, "another input"),
        (("--target", "E3", "--layers", ":2"), 3, "another metric"),
        (("--metric", "logit", "--layers", ":2"), 3, "another metric"),
        (("--method", "ig", "--layers", ":2"), 3, "another method"),
        (("--patch", "f5f6e6f4g5d6", "--layers", ":2"), 3, "another --ablation"),
        (("--layers", "1:"), 2, "has all sites"),
        (("--layers", "0"), 2, "no residual site of it lies between 0 and 1"),
    ],
)
def test_what_is_no_continuation_is_refused(flags, code, words, trace, tiny, saecli, tmp_path) -> None:
    trace("stored", "--layers", "1:", "--top-nodes", "2", "--target", "C5")
    given = () if "--game" in flags else ("--game", GAME)
    if "--target" not in flags and "another input" not in words:
        given += ("--target", "C5")
    done = saecli("trace", tiny, *given, *QUICK, *flags, "--extend", "stored", "--out", "bad")
    assert (done.code, done.err.count("Error:")) == (code, 1), done.err
    assert words in done.err
    assert not (tmp_path / "bad/graph.json").exists()


def test_other_models_and_files_are_refused(trace, tiny, saecli, tmp_path) -> None:
    trace("stored", "--layers", "1:", "--top-nodes", "2")
    graph = json.loads((tmp_path / "stored/graph.json").read_text())
    for key, word in (("model_fingerprint", "model"), ("suite_fingerprint", "dictionaries")):
        changed = graph | {"provenance": graph["provenance"] | {key: "v1:0"}}
        Path(tmp_path / "other.json").write_text(json.dumps(changed))
        call = ("trace", tiny, "--game", GAME, *QUICK, "--layers", ":2", "--extend", "other.json", "--out", "bad")
        done = saecli(*call)
        assert (done.code, f"another {word}" in done.err) == (3, True), done.err
    wrong = [node | {"effect": node["effect"] + 1} if node["id"].startswith("1:") else node for node in graph["nodes"]]
    Path(tmp_path / "other.json").write_text(json.dumps(graph | {"nodes": wrong}))
    assert "do not agree on 1:" in saecli(*call).err
    done = saecli("trace", tiny, "--game", GAME, *QUICK, "--extend", "nowhere.json", "--out", "bad")
    assert (done.code, done.err.count("Error:")) == (3, 1)


@pytest.mark.parametrize(
    "flags", [("--keep", "1"), pytest.param(("--method", "ablation", "--keep", "1"), marks=pytest.mark.slow)]
)
def test_a_fraction_of_the_first_site(flags, trace) -> None:
    """Half of the features that fire there, rounded down, at all their positions; others by another seed; later
    sites and effects as ever."""

    def features(graph: dict, site: str) -> dict[str, float]:
        return {
            node["id"]: node["effect"]
            for node in graph["nodes"]
            if node["id"].startswith(f"{site}:") and "error" not in node["id"] and node["activation"]
        }

    def kinds(found: dict[str, float]) -> set[str]:
        return {name.partition("@")[0] for name in found}

    whole, half = trace("whole", *flags), trace("half", *flags, "--first-fraction", "0.5")
    other = trace("other", *flags, "--first-fraction", "0.5", "--seed", "1")
    every, some, others = (features(graph, "0") for graph in (whole, half, other))
    assert len(kinds(some)) == len(kinds(others)) == len(kinds(every)) // 2
    assert kinds(some) != kinds(others)
    assert some == pytest.approx({name: every[name] for name in every if name.partition("@")[0] in kinds(some)})
    assert features(half, "1") == pytest.approx(features(whole, "1"))
    assert half["settings"]["first_fraction"] == 0.5
    pinned = sorted(kinds(every) - kinds(some))[0]
    if "ablation" not in flags:
        assert pinned in kinds(features(trace("pin", *flags, "--first-fraction", "0.5", "--pin", pinned), "0"))


@pytest.mark.parametrize(("value", "words"), [("0", "leaves nothing"), ("1.5", "at most 1"), ("-1", "at least 0")])
def test_fractions_that_are_none(value, words, tiny, saecli) -> None:
    done = saecli("trace", tiny, "--game", GAME, *QUICK, "--first-fraction", value, "--out", "bad")
    assert (done.code, words in done.err) == (2, True)
