"""``--prompts``: one graph of many prompts is what their own graphs add up to."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from saecli.asking.prompts import read_pairs
from saecli.attribution.clean import Prompt, clean_run, clean_runs
from saecli.attribution.metric import CrossEntropyMetric
from saecli.core.address import Address
from saecli.core.graph import FeatureGraph
from saecli.trace import passes
from saecli.trace.config import TraceConfig
from saecli.trace.engine import trace
from zoo.load import load_model, load_suite

PAIRS = [
    {"clean_prefix": "a cat sat", "patch_prefix": "a dog sat", "clean_answer": "x", "patch_answer": "y", "case": "1"},
    {"clean_prefix": "the cat ran", "patch_prefix": "the bat ran", "clean_answer": "y", "patch_answer": "x"},
    {"clean_prefix": "an ant ran", "patch_prefix": "an ant sat", "clean_answer": "x", "patch_answer": "z"},
]


def written(folder: Path, pairs: list, name: str = "pairs.jsonl") -> str:
    path = folder / name
    path.write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in pairs))
    return str(path)


def graph_of(folder: Path, **options: object) -> FeatureGraph:
    config = TraceConfig(model=str(folder), keep=1.0, top_edges=10**6, **options)  # type: ignore[arg-type]
    model = load_model(str(folder), dtype=torch.float64)
    return trace(config, model, load_suite(str(folder), dtype=torch.float64).attach(model))


def merged(address: Address, aggregate: str) -> Address:
    return address if aggregate == "none" else address.at(None)


@pytest.mark.parametrize("aggregate", ["none", "sum", "mean"])
@pytest.mark.parametrize("method", ["gradient", "ig"])
@pytest.mark.parametrize("patched", [True, False])
def test_it_is_the_mean_of_the_graphs_of_its_prompts(
    aggregate: str, method: str, patched: bool, tiny_text: Path, tmp_path: Path
) -> None:
    pairs = [dict(pair) for pair in PAIRS]
    if aggregate == "none":
        pairs = [{k: v[:9] if k.endswith("prefix") else v for k, v in pair.items()} for pair in pairs]
        pairs[2]["patch_prefix"] = "an ant sa"
    for pair in pairs if not patched else []:
        del pair["patch_prefix"]
    many = graph_of(
        tiny_text, prompts=written(tmp_path, pairs), aggregate=aggregate, method=method, steps=STEPS[method]
    )
    effects: dict = defaultdict(float)
    weights: dict = defaultdict(float)
    values = []
    for pair in pairs:
        one = graph_of(
            tiny_text,
            prompt=pair["clean_prefix"],
            patch=pair.get("patch_prefix"),
            target=f"{pair['clean_answer']}-{pair['patch_answer']}",
            method=method,
            steps=STEPS[method],
        )
        values.append(one.metric.value)
        part = 1 / len(pairs) / (len(one.positions) if aggregate == "mean" else 1)
        for node in one.nodes:
            if node.address.kind != "target":
                effects[merged(node.address, aggregate)] += part * node.effect
        for edge in one.edges:
            weights[merged(edge.source, aggregate), merged(edge.target, aggregate)] += part * edge.weight
    found = {node.address: node.effect for node in many.nodes if node.address.kind != "target"}
    for address in {*found, *effects}:
        assert found.get(address, 0.0) == pytest.approx(effects.get(address, 0.0), abs=1e-10)
    edges = {(edge.source, edge.target): edge.weight for edge in many.edges}
    for both in {*edges, *weights}:
        assert edges.get(both, 0.0) == pytest.approx(weights.get(both, 0.0), abs=1e-10)
    assert many.metric.value == pytest.approx(sum(values) / len(values))
    assert many.settings["prompts"] == 3
    assert many.settings["ablation"] == ("patch" if patched else "zero")
    assert ("patched_value" in many.totals) == patched


STEPS = {"gradient": 20, "ig": 3}


def test_selection_and_pins_are_of_the_whole(tiny_text: Path, tmp_path: Path) -> None:
    path = written(tmp_path, PAIRS)
    every = graph_of(tiny_text, prompts=path)
    config = TraceConfig(model=str(tiny_text), prompts=path, top_nodes=2, top_edges=1)
    weak = min((n for n in every.nodes if n.address.kind == "feature" and n.effect), key=lambda n: abs(n.effect))
    model = load_model(str(tiny_text), dtype=torch.float64)
    suite = load_suite(str(tiny_text), dtype=torch.float64).attach(model)
    few = trace(config, model, suite)
    strongest: dict = defaultdict(list)
    for node in every.nodes:
        if node.address.kind in ("feature", "error"):
            strongest[node.address.site].append(node)
    for site, nodes in strongest.items():
        top = sorted(nodes, key=lambda n: -abs(n.effect))[:2]
        assert {n.address for n in few.nodes if n.address.site == site} == {n.address for n in top}
    assert few.node(weak.address) is None
    assert trace(replace(config, pin=(weak.address.format(),)), model, suite).node(weak.address) is not None


def test_the_command_reads_the_first_lines(tiny_text: Path, tmp_path: Path, saecli) -> None:
    path = written(tmp_path, [*PAIRS, "", {"clean_prefix": "long " * 30, "clean_answer": "x"}])
    done = saecli(
        "trace", tiny_text, "--prompts", path, "--n-prompts", "2", "--layers", "0:3", "--out", "run", "--json"
    )
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert (found["prompts"], found["tokens"], found["target"]) == (2, [], "the answers")
    graph = FeatureGraph.from_json(json.loads((tmp_path / "run" / "graph.json").read_text()))
    assert graph.positions == ()
    labels = {n.label for n in graph.nodes if n.address.kind == "token"}
    assert labels
    assert labels <= {"a", "c", "t", "s", "h", "e", "r", "n", '" "'}
    assert saecli("graph", "show", "run").code == 0


def test_answers_alone_are_over_the_mean_of_all(tiny_text: Path, tmp_path: Path) -> None:
    path = written(
        tmp_path, [{"clean_prefix": "a cat", "clean_answer": "x"}, {"clean_prefix": "x", "clean_answer": "x"}]
    )
    graph = graph_of(tiny_text, prompts=path)
    assert (graph.metric.name, graph.metric.target) == ("over-mean", '"x"')


def test_games_are_read_too(tiny: Path, tmp_path: Path) -> None:
    path = written(tmp_path, [{"clean_prefix": "f5d6c3", "patch_prefix": "f5f6e6", "clean_answer": "d3"}])
    graph = graph_of(tiny, prompts=path, aggregate="none")
    assert (graph.metric.name, graph.metric.target) == ("over-illegal", "D3")
    assert len(graph.positions) == 3


GOOD = {"clean_prefix": "a cat", "clean_answer": "x"}
BAD = {
    "no such file": (None, [], 3, "nowhere.jsonl"),
    "empty": ([""], [], 3, "has no prompts"),
    "no JSON": ([GOOD, "{"], [], 3, "pairs.jsonl, line 2 is no JSON"),
    "no object": (["[1]"], [], 3, "line 1 is no JSON object"),
    "no answer": ([{"clean_prefix": "a"}], [], 3, "clean_answer should be a text, not None"),
    "a number": ([GOOD | {"patch_prefix": 7}], [], 3, "patch_prefix should be a text, not 7"),
    "some counterfactuals": ([GOOD, GOOD | {"patch_prefix": "a dog"}], [], 3, "line 2: patch_prefix stands in some"),
    "some other answers": ([GOOD, GOOD | {"patch_answer": "y"}], [], 3, "line 2: patch_answer stands in some"),
    "another length": (
        [GOOD | {"patch_prefix": "a mouse"}],
        [],
        3,
        "patch_prefix has 7 tokens, and clean_prefix has 5",
    ),
    "too few": ([GOOD], ["--n-prompts", "2"], 3, "has 1 prompts, and 2 were asked for"),
    "several tokens": ([GOOD | {"clean_answer": "xy"}], [], 2, "line 1: --target"),
    "positions of other lengths": (
        [GOOD, GOOD | {"clean_prefix": "a"}],
        ["--aggregate", "none"],
        3,
        "of 1 to 5 tokens",
    ),
    "two inputs": ([GOOD], ["--prompt", "a"], 2, "--prompt is of one input"),
    "ablation": ([GOOD], ["--method", "ablation"], 2, "not ablation"),
    "no counterfactuals": ([GOOD], ["--ablation", "patch"], 2, "needs a counterfactual for every"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_one_sentence(case: str, tiny_text: Path, tmp_path: Path, saecli) -> None:
    pairs, arguments, code, words = BAD[case]
    path = str(tmp_path / "nowhere.jsonl") if pairs is None else written(tmp_path, pairs)
    done = saecli("trace", tiny_text, "--prompts", path, *arguments)
    assert (done.code, done.out) == (code, "")
    assert words in done.err
    assert [one.name for one in tmp_path.iterdir()] == ([] if pairs is None else ["pairs.jsonl"])


def test_flags_of_many_prompts_need_them(tiny_text: Path, saecli) -> None:
    assert saecli("trace", tiny_text, "--n-prompts", "3").code == 2
    assert saecli("trace", tiny_text, "--aggregate", "mean").code == 2


def test_pairs_are_read_as_they_stand(tmp_path: Path) -> None:
    first, *_ = read_pairs(Path(written(tmp_path, PAIRS)), 1)
    assert (first.clean, first.patch, first.answer, first.other) == ("a cat sat", "a dog sat", "x", "y")


@pytest.mark.parametrize("live", [False, True])
def test_prompts_that_are_run_together_are_what_each_is_alone(live: bool, tiny_text: Path) -> None:
    """Shorter ones are filled up, and one is measured before its end."""
    model = load_model(str(tiny_text), dtype=torch.float64)
    suite = load_suite(str(tiny_text), dtype=torch.float64)
    texts = ["a cat sat on", "the dog", "an ant ran", "x"]
    prompts = [
        Prompt(torch.tensor([*map(ord, text)]), CrossEntropyMetric(max(0, len(text) - 2), 97 + row, "a letter"))
        for row, text in enumerate(texts)
    ]
    together = clean_runs(model, suite, prompts, live_norms=live)
    for prompt, found in zip(prompts, together, strict=True):
        alone = clean_run(model, suite, prompt.tokens_S, prompt.metric, live_norms=live)
        assert found.value == pytest.approx(alone.value, rel=1e-12)
        for site, nodes in alone.nodes.items():
            assert torch.equal(nodes.index_N, found.nodes[site].index_N)
            assert torch.equal(nodes.position_N, found.nodes[site].position_N)
            for name in ("effect_N", "activation_N", "vector_ND"):
                assert torch.allclose(getattr(nodes, name), getattr(found.nodes[site], name), rtol=1e-9, atol=1e-12)
        assert torch.allclose(alone.tokens.effect_N, found.tokens.effect_N, rtol=1e-9, atol=1e-12)


def test_how_many_prompts_are_run_together_changes_nothing(tiny_text: Path, tmp_path: Path, monkeypatch) -> None:
    file = written(tmp_path, PAIRS)
    whole = graph_of(tiny_text, prompts=file)
    monkeypatch.setattr(passes, "VECTORS", 1)
    apart = graph_of(tiny_text, prompts=file)
    assert [node.address for node in whole.nodes] == [node.address for node in apart.nodes]
    assert [node.effect for node in whole.nodes] == pytest.approx([node.effect for node in apart.nodes], rel=1e-9)
    weights = {(edge.source, edge.target): edge.weight for edge in apart.edges}
    assert weights == pytest.approx({(edge.source, edge.target): edge.weight for edge in whole.edges}, rel=1e-9)
