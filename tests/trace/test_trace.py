"""``saecli trace`` as a user meets it, on a tiny model in real files."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest
import torch

from saecli.asking.question import ask
from saecli.attribution.clean import clean_run
from saecli.core.graph import FeatureGraph
from saecli.core.site import Site
from saecli.trace.config import TraceConfig, threshold
from saecli.trace.engine import trace
from tests.trace.conftest import LAYERS, WIDTH
from zoo.load import load_model, load_suite

GAME = "f5d6c3d3c4f4"


def graph_of(tiny: Path, dtype: torch.dtype = torch.float64, **options: object) -> FeatureGraph:
    config = TraceConfig(model=str(tiny), **({"game": GAME} | options))  # type: ignore[arg-type]
    model = load_model(str(tiny), dtype=dtype)
    return trace(config, model, load_suite(str(tiny), dtype=dtype).attach(model))


def test_the_default_keeps_most_of_the_effect(tiny: Path) -> None:
    graph = graph_of(tiny)
    assert graph.coverage >= 0.8
    assert len(graph.nodes) < graph.totals["active_nodes"]
    assert {n.address.kind for n in graph.nodes} == {"feature", "error", "target", "token"}
    assert graph.sites == ("0", "0.attn_out", "0.mlp_out", "1", "1.attn_out", "1.mlp_out", "2")
    names = {n.address for n in graph.nodes}
    assert all(edge.source in names and edge.target in names for edge in graph.edges)


def test_a_complete_graph_conserves_effects_and_explains_the_sum(tiny: Path) -> None:
    graph = graph_of(tiny, keep=1.0, top_edges=10**6)
    outgoing: dict = {}
    for edge in graph.edges:
        outgoing[edge.source] = outgoing.get(edge.source, 0.0) + edge.weight
    for node in graph.nodes:
        if node.address.kind in ("feature", "error") and node.effect:
            assert outgoing[node.address] == pytest.approx(node.effect, abs=1e-11)
    last = [n.effect for n in graph.nodes if n.address.site == Site(LAYERS, "resid_pre")]
    into_target = [e.weight for e in graph.edges if e.target.kind == "target"]
    assert math.fsum(into_target) == pytest.approx(math.fsum(last), abs=1e-11)


def test_removing_a_node_moves_the_metric_as_its_colour_says(tiny: Path) -> None:
    """Ablation's node effects are measured: the strongest helper, removed, lowers the metric by just that much."""
    graph = graph_of(tiny, method="ablation", keep=1.0)
    node = min((n for n in graph.nodes if n.address.kind == "feature"), key=lambda n: n.effect)
    assert node.effect < 0
    assert graph.helps(node.effect)
    config = TraceConfig(model=str(tiny), game=GAME)
    model = load_model(str(tiny), dtype=torch.float64)
    suite = load_suite(str(tiny), dtype=torch.float64)
    question = ask(model, config, suite, "resid_pre")
    site, index, position = node.address.site, node.address.index, node.address.position
    assert site is not None

    def remove(x: torch.Tensor) -> torch.Tensor:
        acts = suite[site].encode(x)
        x = x.clone()
        x[0, position] -= acts[0, position, index] * suite[site].W_dec_FD[index]
        return x

    run = model.run(question.tokens_S[None], write={site: remove})
    assert run.logits is not None
    after = float(question.metric(run.logits[:, -1]))  # type: ignore[operator]
    assert after - graph.metric.value == pytest.approx(node.effect, abs=1e-9)


def test_integrated_gradients_add_up_to_the_removal_of_a_site(tiny: Path) -> None:
    graph = graph_of(tiny, method="ig", steps=300, keep=1.0)
    assert (graph.method, graph.edge_meaning, graph.settings["steps"]) == ("ig", "metric", 300)
    assert 0 < graph.totals["gap"] < 0.01
    model = load_model(str(tiny), dtype=torch.float64)
    suite = load_suite(str(tiny), dtype=torch.float64)
    question = ask(model, TraceConfig(model=str(tiny), game=GAME), suite, "resid_pre")
    for site in (Site(0, "mlp_out"), Site(1, "resid_pre")):
        bias = suite[site].b_dec_D
        logits = model.run(question.tokens_S[None], write={site: lambda x, b=bias: b.expand_as(x)}).logits
        assert logits is not None
        after = float(question.metric(logits[:, -1]))  # type: ignore[operator]
        total = math.fsum(node.effect for node in graph.nodes if node.address.site == site)
        assert total == pytest.approx(after - graph.metric.value, rel=0.01)


def test_few_steps_are_told(tiny: Path, saecli) -> None:
    done = saecli("trace", tiny, "--game", GAME, "--method", "ig", "--steps", "1", "--rule", "left", "--json")
    assert json.loads(done.out)["gap"] > 0.05
    assert "raise --steps above 1" in done.err
    exact = saecli("trace", tiny, "--game", GAME, "--method", "ig", "--metric", "kl", "--steps", "200", "--json")
    assert json.loads(exact.out)["gap"] < 0.05
    assert "raise" not in exact.err


@pytest.mark.parametrize("where", ["each", "all", "last"])
def test_ablation_edges_are_activation_changes_and_show_woken_features(tiny: Path, where: str) -> None:
    graph = graph_of(tiny, method="ablation", positions=where)
    assert graph.edge_meaning == "activation"
    positions = {n.address.position for n in graph.nodes if n.address.kind == "feature"}
    assert positions == {"each": positions, "all": {None}, "last": {5}}[where]
    woken = [n for n in graph.nodes if n.address.kind == "feature" and n.activation == 0]
    assert woken
    for node in woken:
        assert any(edge.weight > 0 for edge in graph.parents(node.address))


def test_selection_options(tiny: Path) -> None:
    few = graph_of(tiny, top_nodes=3)
    per_site: dict = {}
    for node in few.nodes:
        if node.address.site is not None:
            per_site[node.address.site] = per_site.get(node.address.site, 0) + 1
    assert max(per_site.values()) == 3
    strong = graph_of(tiny, node_threshold="2**-3", edge_threshold="0.05")
    assert all(abs(n.effect) >= 0.125 for n in strong.nodes if n.address.kind in ("feature", "error"))
    assert all(abs(e.weight) >= 0.05 for e in strong.edges)
    one = graph_of(tiny, top_edges=1, keep=1.0)
    for node in one.nodes:
        incoming = list(one.parents(node.address))
        assert sum(e.weight > 0 for e in incoming) <= 1
        assert sum(e.weight < 0 for e in incoming) <= 1


def test_pins_stay_and_limit_what_is_removed(tiny: Path) -> None:
    every = graph_of(tiny, keep=1.0)
    weak = min((n for n in every.nodes if n.address.kind == "feature" and n.effect), key=lambda n: abs(n.effect))
    pin = weak.address.format()
    assert graph_of(tiny, top_nodes=1).node(weak.address) is None
    assert graph_of(tiny, top_nodes=1, pin=(pin,)).node(weak.address) is not None
    ablated = graph_of(tiny, method="ablation", pin=(pin,), keep=1.0)
    at_site = {e.source.index for e in ablated.edges if e.source.site == weak.address.site}
    assert at_site <= {weak.address.index}


def test_a_feature_as_target_sees_only_what_comes_before(tiny: Path) -> None:
    every = graph_of(tiny, keep=1.0)
    feature = max(
        (n for n in every.nodes if n.address.site == Site(1, "mlp_out") and n.address.kind == "feature"),
        key=lambda n: n.activation or 0,
    )
    graph = graph_of(tiny, target=feature.address.format())
    assert graph.metric.name == "feature"
    assert graph.metric.value == pytest.approx(feature.activation)
    assert graph.sites == ("0", "0.attn_out", "0.mlp_out", "1", "1.attn_out")


def test_every_path_into_a_feature_target_is_drawn_under_ablation(tiny: Path) -> None:
    every = graph_of(tiny, keep=1.0)
    feature = max(
        (n for n in every.nodes if n.address.site == Site(2, "resid_pre") and n.address.kind == "feature"),
        key=lambda n: n.activation or 0,
    )
    graph = graph_of(tiny, target=feature.address.format(), method="ablation", keep=1.0, top_edges=1000)
    into_target = {e.source.site for e in graph.edges if e.target.kind == "target"}
    assert into_target == {Site(1, "resid_pre"), Site(1, "attn_out"), Site(1, "mlp_out")}


def test_a_pin_names_one_position(tiny: Path) -> None:
    every = graph_of(tiny, keep=1.0)
    at: dict = {}
    for node in every.nodes:
        if node.address.kind == "feature":
            at.setdefault((node.address.site, node.address.index), []).append(node.address)
    twice = next(addresses for addresses in at.values() if len(addresses) > 1)
    pinned = graph_of(tiny, node_threshold="1e9", pin=(twice[0].format(),))
    assert [n.address for n in pinned.nodes if n.address.kind == "feature"] == [twice[0]]


def test_what_was_found_out_since_makes_another_graph(tiny: Path, saecli, monkeypatch: pytest.MonkeyPatch) -> None:
    from saecli.core.labels import Label, Labels
    from saecli.formats.labels import keep_labels

    monkeypatch.setenv("SAECLI_CACHE", "cache")
    call = ("trace", str(tiny), "--suite", str(tiny / "suite"), "--game", GAME, "--layers", "2", "--json")
    before = json.loads(saecli(*call).out)
    suite = load_suite(str(tiny))
    keep_labels(Labels({suite.fingerprints[Site(2, "resid_pre")]: [Label(i, "found", "text") for i in range(40)]}))
    after = json.loads(saecli(*call).out)
    assert after["run_directory"] != before["run_directory"]
    graph = FeatureGraph.from_json(json.loads((Path(after["run_directory"]) / "graph.json").read_text()))
    assert {node.label for node in graph.nodes if node.address.kind == "feature"} == {"found"}
    assert json.loads(saecli(*call).out)["reused"]


def test_labels_are_found_beside_the_suite(tiny: Path, tmp_path: Path, saecli) -> None:
    from saecli.core.labels import Label, Labels
    from saecli.formats.labels import write_labels

    suite = load_suite(str(tiny))
    labels = Labels({suite.fingerprints[Site(2, "resid_pre")]: [Label(i, f"meaning {i}", "text") for i in range(40)]})
    write_labels(labels, tmp_path / "mine.json")
    assert saecli("trace", tiny, "--game", GAME, "--labels", "mine.json", "--out", "run").code == 0
    graph = FeatureGraph.from_json(json.loads((tmp_path / "run" / "graph.json").read_text()))
    for node in graph.nodes:
        if node.address.kind == "feature":
            named = node.address.site == Site(2, "resid_pre")
            assert (node.label == f"meaning {node.address.index}") is named


def test_half_precision_knows_the_model_it_was_made_for(tiny: Path, saecli) -> None:
    done = saecli("trace", tiny, "--game", GAME, "--dtype", "bfloat16", "--out", "half", "--json")
    assert done.code == 0, done.err
    whole = saecli(
        "trace", tiny, "--game", GAME, "--target", json.loads(done.out)["target"], "--out", "whole", "--json"
    )
    assert json.loads(done.out)["value"] == pytest.approx(json.loads(whole.out)["value"], rel=0.1)


def test_metrics_of_a_move(tiny: Path) -> None:
    legal = "E3"
    logit = graph_of(tiny, target=legal, metric="logit").metric
    over = graph_of(tiny, target=legal).metric
    pair = graph_of(tiny, target=f"{legal}-A1").metric
    ce = graph_of(tiny, target=legal, metric="ce").metric
    assert (logit.direction, ce.direction) == (1, -1)
    assert "illegal empty squares" in over.description
    model = load_model(str(tiny), dtype=torch.float64)
    question = ask(model, TraceConfig(model=str(tiny), game=GAME), {}, "resid_pre")
    logits = model.run(question.tokens_S[None]).logits
    assert logits is not None
    token = {"E3": 20 + 1, "A1": 1}
    assert pair.value == pytest.approx(float(logits[0, -1, token["E3"]] - logits[0, -1, token["A1"]]))


def test_the_same_question_gives_the_same_bytes(tiny: Path) -> None:
    assert graph_of(tiny).dumps() == graph_of(tiny).dumps()
    assert FeatureGraph.from_json(json.loads(graph_of(tiny).dumps())) == graph_of(tiny)


def test_first_order_effects_come_from_the_unmodified_pass(tiny: Path) -> None:
    model = load_model(str(tiny), dtype=torch.float64)
    suite = load_suite(str(tiny), dtype=torch.float64)
    question = ask(model, TraceConfig(model=str(tiny), game=GAME), suite, "resid_pre")
    clean = clean_run(model, dict(suite), question.tokens_S, question.metric)
    logits = model.run(question.tokens_S[None]).logits
    assert logits is not None
    assert clean.value == pytest.approx(float(question.metric(logits[:, -1])))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("text", "value"), [("0.05", 0.05), ("2**5", 32.0), ("2**-4", 0.0625), (None, 0.0), ("1e-3", 1e-3)]
)
def test_thresholds(text: str | None, value: float) -> None:
    assert threshold(text, "--node-threshold") == value


# --- through the command line -------------------------------------------------------------------------------------


BAD = {
    "nothing selected": (["--layers", "9:12"], 2, "--layers 9:12 selects no"),
    "no slice": (["--layers", "six"], 2, "slice"),
    "unknown move": (["--game", "f5 z9"], 3, "z9"),
    "illegal move": (["--game", "f5 a1"], 3, "A1"),
    "a pass written out": (["--game", "20 0 21"], 3, "token 0 (pass)"),
    "half a pair": (["--target", "E3-"], 2, "half a pair"),
    "a pair is missing": (["--metric", "logit-diff"], 2, "needs a pair"),
    "kl has no target": (["--metric", "kl", "--method", "ablation", "--target", "E3"], 2, "takes no --target"),
    "no such labels": (["--labels", "nowhere.json"], 3, "nowhere.json"),
    "too long": (["--game", "LONG"], 3, "59"),
    "illegal target": (["--target", "A1"], 2, "A1 is not legal"),
    "unknown target": (["--target", "Q7"], 2, "Q7"),
    "silent target": (["--target", "SILENT"], 2, "does not fire"),
    "silent pin": (["--pin", "SILENT"], 2, "does not fire"),
    "index out of range": (["--pin", "1:4000"], 2, "0..39"),
    "site without dictionary": (["--pin", "1.mlp_in:3"], 2, "no dictionary"),
    "pin outside": (["--layers", "1:3", "--pin", "0:3"], 2, "outside"),
    "no such model": (["MODEL:no-such-model"], 2, "neither a model of the zoo nor a folder"),
    "kl needs ablation": (["--metric", "kl"], 2, "kl"),
    "a text for a model of games": (["--prompt", "hello"], 2, "which reads games"),
    "a counterfactual of another length": (["--patch", "f5d6c3"], 3, "--patch has 3 moves, and the input has 6"),
    "an illegal counterfactual": (["--patch", "f5a1c3d3c4f4"], 3, "--patch: move 2, A1, is illegal"),
    "behind the end": (["--at", "6"], 2, "positions 0..5"),
    "steps of another method": (["--steps", "5"], 2, "belong to --method ig"),
    "bad threshold": (["--node-threshold", "much"], 2, "much"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_and_leaves_nothing(case: str, tiny: Path, tmp_path: Path, saecli) -> None:
    arguments, code, words = BAD[case]
    model = str(tiny)
    if arguments[0].startswith("MODEL:"):
        model, arguments = arguments[0].removeprefix("MODEL:"), []
    graph = graph_of(tiny, keep=1.0)
    fires = {n.address.index for n in graph.nodes if n.address.site == Site(2, "resid_pre")}
    silent = next(i for i in range(40) if i not in fires)
    from saecli.games.othello import random_games, square_name

    long_game = "".join(square_name(int(m)) for m in random_games(1, 0).moves[0])
    arguments = [a.replace("SILENT", f"2:{silent}@5").replace("LONG", long_game) for a in arguments]
    game = [] if "--game" in arguments else ["--game", GAME]
    done = saecli("trace", model, *game, *arguments)
    assert (done.code, done.out) == (code, "")
    assert words in done.err
    assert "Traceback" not in done.err
    assert not list(tmp_path.iterdir())


def test_a_suite_of_another_model_is_refused(tiny: Path, tmp_path: Path, saecli) -> None:
    from saecli.core.gpt import GPT, GPTConfig
    from saecli.formats.hf_gpt2 import save_gpt

    other = GPT(GPTConfig(vocab_size=61, n_ctx=59, n_layer=LAYERS, n_head=2, d_model=WIDTH))
    save_gpt(other, tmp_path / "other", vocabulary="othello")
    done = saecli("trace", "other", "--suite", tiny, "--out", "run")
    assert done.code == 3
    assert "made for" in done.err
    assert not (tmp_path / "run").exists()


def test_a_corrupted_dictionary_is_named(tiny: Path, tmp_path: Path, saecli) -> None:
    shutil.copytree(tiny, tmp_path / "copy")
    weights = tmp_path / "copy" / "suite" / "1.resid_pre" / "sae_weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-5] ^= 1
    weights.write_bytes(data)
    done = saecli("trace", "copy", "--layers", "1:3", "--out", "run")
    assert done.code == 3
    assert "1.resid_pre" in done.err
    assert not (tmp_path / "run").exists()
    assert saecli("trace", "copy", "--layers", "2:", "--out", "run").code == 0  # what is not read does not matter


def test_a_run_writes_every_file_and_is_found_again(tiny: Path, tmp_path: Path, saecli) -> None:
    done = saecli("trace", tiny, "--game", GAME, "--out", "run", "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert document["schema"] == "saecli.trace/1"
    expected = {"graph.json", "nodes.csv", "edges.csv", "graph.dot", "graph.svg", "graph.png", "graph.html"}
    assert expected <= {p.name for p in (tmp_path / "run").iterdir()}
    assert set(document["files"]) == expected
    again = saecli("trace", tiny, "--game", GAME, "--out", "run", "--json")
    assert json.loads(again.out)["reused"] is True
    other = saecli("trace", tiny, "--game", GAME + "e6", "--out", "run")
    assert other.code == 3
    assert "--overwrite" in other.err


def test_a_foreign_directory_is_left_alone(tiny: Path, tmp_path: Path, saecli) -> None:
    (tmp_path / "precious.txt").write_text("keep")
    done = saecli("trace", tiny, "--game", GAME, "--out", tmp_path, "--overwrite")
    assert done.code == 3
    assert "left alone" in done.err
    assert [p.name for p in tmp_path.iterdir()] == ["precious.txt"]
