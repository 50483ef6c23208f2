"""``saecli trace --method direct`` as a user meets it: a tiny model with transcoders in real files."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from saecli.core.address import Address
from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.fingerprint import fingerprint_module
from saecli.core.gpt import GPT, GPTConfig
from saecli.core.graph import FeatureGraph
from saecli.core.site import Site
from saecli.core.suite import Suite, SuiteInfo
from saecli.dictionaries import make_dictionary
from saecli.formats.graph_file import read_graph_file
from saecli.formats.hf_gpt2 import save_gpt
from saecli.formats.suite import write_suite
from saecli.graph.config import PruneConfig
from saecli.graph.influence import node_influence
from saecli.graph.prune import prune
from saecli.trace.config import TraceConfig
from saecli.trace.engine import trace
from tests.trace.conftest import LAYERS, WIDTH
from zoo.load import load_model, load_suite

PROMPT = "for i"


def transcoder(layer: int, generator: torch.Generator, *, attention: bool = False) -> Dictionary:
    reads, writes = (
        Site(layer, "attn_out" if attention else "mlp_in"),
        Site(layer, "attn_out" if attention else "mlp_out"),
    )
    made = make_dictionary(DictionaryConfig("topk", WIDTH, 40, reads, writes, WIDTH, {"k": 4}))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)
    return made


@pytest.fixture(scope="session")
def tiny_transcoders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of ASCII characters with ``suite/`` (transcoders) and ``attention/`` (and attention dictionaries)."""
    folder = tmp_path_factory.mktemp("tiny-transcoders")
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = GPT(GPTConfig(vocab_size=128, n_ctx=59, n_layer=LAYERS, n_head=2, d_model=WIDTH))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.2)
    save_gpt(model, folder, vocabulary="ascii")
    info = SuiteInfo("tiny", "tiny", model_fingerprint=fingerprint_module(model), context=59, vocabulary="ascii")
    mlps = [transcoder(layer, generator) for layer in range(LAYERS)]
    write_suite(Suite.of(info, mlps), folder / "suite")
    both = [*mlps, *(transcoder(layer, generator, attention=True) for layer in range(LAYERS))]
    write_suite(Suite.of(info, both), folder / "attention")
    return folder


def graph_of(folder: Path, suite: str = "suite", **options: Any) -> FeatureGraph:
    chosen: dict[str, Any] = {"prompt": PROMPT} | options
    config = TraceConfig(model=str(folder), **chosen)
    model = load_model(str(folder), dtype=torch.float64)
    return trace(config, model, load_suite(str(folder / suite), dtype=torch.float64).attach(model))


def test_transcoders_are_traced_by_direct_effects_unless_asked_otherwise(tiny_transcoders: Path) -> None:
    graph = graph_of(tiny_transcoders)
    assert (graph.method, graph.edge_meaning) == ("direct", "activation")
    assert graph.sites == ("0.mlp_in", "1.mlp_in")
    assert {n.address.kind for n in graph.nodes} == {"feature", "error", "target", "token"}
    assert graph.coverage >= 0.8
    attention = graph_of(tiny_transcoders, "attention", kind=("attn_out",))
    assert attention.method == "gradient"


@pytest.mark.parametrize("suite", ["suite", "attention"])
def test_a_whole_graph_explains_effects(tiny_transcoders: Path, suite: str) -> None:
    """effect(u) = w(u, m) + Σ_t w(u, t) · (−effect(t) / a_t) over all that it acts on."""
    graph = graph_of(tiny_transcoders, suite, keep=1.0, top_edges=10**6)
    sums: dict = {}
    for edge in graph.edges:
        child = graph.node(edge.target)
        assert child is not None
        gain = 1.0 if edge.target.kind == "target" else -child.effect / child.activation  # type: ignore[operator]
        sums[edge.source] = sums.get(edge.source, 0.0) + edge.weight * gain
    for node in graph.nodes:
        if node.address.kind != "target":
            assert sums[node.address] == pytest.approx(node.effect, abs=1e-11)
    assert not [edge for edge in graph.edges if edge.target.kind == "error"]


def test_layers_that_are_not_chosen_are_errors(tiny_transcoders: Path) -> None:
    graph = graph_of(tiny_transcoders, layers="1", keep=1.0, top_edges=10**6)
    assert graph.sites == ("1.mlp_in",)
    found = {str(n.address.site) for n in graph.nodes if n.address.kind == "error"}
    assert found == {"0.mlp_out", "1.mlp_in"}


@pytest.mark.parametrize("suite", ["suite", "attention"])
def test_the_graph_is_read_by_circuit_tracers_viewer(
    saecli, tiny_transcoders: Path, tmp_path: Path, suite: str
) -> None:
    done = saecli("trace", tiny_transcoders, "--suite", tiny_transcoders / suite, "--prompt", PROMPT, "--keep", "1")
    assert done.code == 0, done.err
    (out,) = (tmp_path / "saecli-runs").glob("trace-*")
    own, _ = read_graph_file(out / "graph.json")
    path = tmp_path / "exported.json"
    done = saecli("graph", "export", out, "--to", "neuronpedia", "--out", path)
    assert done.code == 0, done.err
    document = json.loads(path.read_text())
    links = {(link["source"], link["target"]): link["weight"] for link in document["links"]}
    assert len(links) == len(own.edges)
    types = {node["feature_type"] for node in document["nodes"]}
    assert types == {"cross layer transcoder", "mlp reconstruction error", "embedding", "logit"}
    read, _ = read_graph_file(path)
    assert {(e.source, e.target): e.weight for e in read.edges} == {(e.source, e.target): e.weight for e in own.edges}
    assert node_influence(read) == pytest.approx(node_influence(own))
    assert "is of transcoders" in saecli("validate", out).err
    raised = math.fsum(w for (_, target), w in links.items() if target.startswith(document["nodes"][-1]["layer"]))
    lowered = math.fsum(e.weight for e in own.edges if e.target.kind == "target")
    assert raised == pytest.approx(-lowered)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--method", "gradient"], "Dictionaries at 0.mlp_in, 1.mlp_in cannot be traced"),
        (["--method", "ig"], "trace transcoders with --method direct"),
        (["--method", "ablation"], "trace transcoders with --method direct"),
        (["--ablation", "mean"], "--method direct follows what is there"),
        (["--influence", "0.8", "--method", "ig"], "--influence belongs to --method direct"),
        (["--metric", "kl"], "--metric kl has no gradient"),
    ],
)
def test_what_does_not_go_with_transcoders_is_refused(
    saecli, tiny_transcoders: Path, options: list[str], message: str
) -> None:
    done = saecli("trace", tiny_transcoders, "--suite", tiny_transcoders / "suite", "--prompt", PROMPT, *options)
    assert done.code == 2
    assert message in " ".join(done.err.split())


def test_a_feature_as_the_target(tiny_transcoders: Path) -> None:
    whole = graph_of(tiny_transcoders, keep=1.0, top_edges=10**6)
    feature = next(n for n in whole.nodes if n.address.kind == "feature" and n.address.site == Site(1, "mlp_in"))
    graph = graph_of(tiny_transcoders, target=str(feature.address), keep=1.0, top_edges=10**6)
    into = {e.source: e.weight for e in graph.edges if e.target.kind == "target"}
    assert graph.metric.value == pytest.approx(feature.activation)
    expected = {e.source: e.weight for e in whole.parents(feature.address)}
    assert into.keys() == expected.keys()
    for source, weight in expected.items():
        assert into[source] == pytest.approx(weight, abs=1e-12)


@pytest.mark.parametrize("aggregate", ["none", "sum"])
def test_a_graph_of_many_prompts_is_the_mean_of_theirs(tiny_transcoders: Path, tmp_path: Path, aggregate: str) -> None:
    """Counterfactuals in the file are not read: nothing takes the place of what is there."""
    pairs = [{"clean_prefix": one, "clean_answer": "x", "patch_prefix": one[::-1]} for one in ("for i", "abcde")]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    whole: dict[str, Any] = {"keep": 1.0, "top_edges": 10**6}
    many = graph_of(tiny_transcoders, prompt=None, prompts=str(path), aggregate=aggregate, **whole)
    assert (many.method, many.edge_meaning, many.settings["ablation"]) == ("direct", "activation", "zero")
    effects: dict = defaultdict(float)
    weights: dict = defaultdict(float)

    def place(address: Address) -> Address:
        return address if aggregate == "none" else address.at(None)

    for pair in pairs:
        one = graph_of(tiny_transcoders, prompt=pair["clean_prefix"], target="x", **whole)
        for node in one.nodes:
            effects[place(node.address)] += node.effect / 2
        for edge in one.edges:
            weights[place(edge.source), place(edge.target)] += edge.weight / 2
    for node in many.nodes:
        assert node.effect == pytest.approx(effects[node.address], abs=1e-11)
    found = {(edge.source, edge.target): edge.weight for edge in many.edges}
    for ends, weight in weights.items():
        assert found.get(ends, 0.0) == pytest.approx(weight, abs=1e-11)


def test_influence_keeps_what_pruning_the_whole_graph_would(tiny_transcoders: Path) -> None:
    whole = graph_of(tiny_transcoders, keep=1.0, top_edges=10**6)
    pruned = prune(whole, PruneConfig(influence=0.7))
    graph = graph_of(tiny_transcoders, influence=0.7, top_edges=10**6)
    kept = {node.address: node.influence for node in graph.nodes if node.address.kind in ("feature", "error")}
    theirs = {node.address: node.influence for node in pruned.nodes if node.address.kind in ("feature", "error")}
    assert kept.keys() == theirs.keys()
    assert 3 < len(kept) < len(whole.nodes) / 2
    for address, share in kept.items():
        assert share == pytest.approx(theirs[address], abs=1e-9)


def test_a_cross_layer_transcoder_of_circuit_tracer(tiny_transcoders: Path, tmp_path: Path) -> None:
    """Read from its own files, the decoder left there; features write the MLPs of all layers from theirs on."""
    generator = torch.Generator().manual_seed(4)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator) * 0.4

    for layer in range(LAYERS):
        encoder = {"W_enc": random(40, WIDTH), "b_enc": random(40), "b_dec": random(WIDTH)}
        save_file({f"{name}_{layer}": one for name, one in encoder.items()}, tmp_path / f"W_enc_{layer}.safetensors")
        decoder = {f"W_dec_{layer}": random(40, LAYERS - layer, WIDTH)}
        save_file(decoder, tmp_path / f"W_dec_{layer}.safetensors")
    lines = "model_name: tiny", "model_kind: cross_layer_transcoder", "feature_input_hook: hook_resid_mid"
    (tmp_path / "config.yaml").write_text("\n".join((*lines, "feature_output_hook: hook_mlp_out", "")))
    config = TraceConfig(model=str(tiny_transcoders), prompt=PROMPT, keep=1.0, top_edges=10**6)
    model = load_model(str(tiny_transcoders), dtype=torch.float64)
    graph = trace(config, model, load_suite(str(tmp_path), dtype=torch.float64))
    assert (graph.method, graph.sites) == ("direct", ("0.resid_mid", "1.resid_mid"))
    sums: dict = defaultdict(float)
    for edge in graph.edges:
        child = graph.node(edge.target)
        assert child is not None
        gain = 1.0 if edge.target.kind == "target" else -child.effect / (child.activation or 1.0)
        sums[edge.source] += edge.weight * gain
    for node in graph.nodes:
        if node.address.kind != "target":
            assert sums[node.address] == pytest.approx(node.effect, abs=1e-11)
