"""``saecli trace --method search`` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from saecli.asking.question import ask
from saecli.core.graph import FeatureGraph
from saecli.core.site import Site
from saecli.trace.config import TraceConfig
from tests.trace.test_trace import GAME, graph_of
from zoo.load import load_model, load_suite


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAECLI_CACHE", str(tmp_path_factory.mktemp("cache")))


def search(tiny: Path, **options: object) -> FeatureGraph:
    given = {"samples": 3, "neighbours": 8, "sequences": 6} if "ablation" not in options else {}
    return graph_of(tiny, method="search", **(given | options))


def test_what_is_found_keeps_the_prediction(tiny: Path) -> None:
    """With nothing in the place of the others, the divergence of the set found is that of a plain forward pass."""
    graph = search(tiny, layers="1:2", ablation="zero", threshold=0.65, top_edges=1000)
    site, label = Site(1, "resid_pre"), "1"
    one = graph.settings["search"]["sites"][label]
    model = load_model(str(tiny), dtype=torch.float64)
    suite = load_suite(str(tiny), dtype=torch.float64)
    question = ask(model, TraceConfig(model=str(tiny), game=GAME), suite, "resid_pre")
    nodes = [node for node in graph.nodes if node.address.kind == "feature"]
    assert 0 < len(nodes) == one["features"] < one["active"]

    def divergence(addresses: list) -> float:
        keep_SF = torch.zeros(len(question.tokens_S), 40, dtype=torch.float64)
        for address in addresses:
            keep_SF[address.position, address.index] = 1
        edit = lambda x: suite[site].decode(suite[site].encode(x) * keep_SF)  # noqa: E731
        clean = model.run(question.tokens_S[None]).logits
        logits = model.run(question.tokens_S[None], write={site: edit}).logits
        assert clean is not None
        assert logits is not None
        p, q = clean[0, -1].log_softmax(-1), logits[0, -1].log_softmax(-1)
        return float((p.exp() * (p - q)).sum())

    found = [node.address for node in nodes]
    assert one["divergence"] == pytest.approx(divergence(found), abs=1e-9)
    assert one["divergence"] < 0.65 <= one["none"]
    for node in nodes:
        without = divergence([address for address in found if address != node.address])
        assert node.effect == pytest.approx(without - one["divergence"], abs=1e-9)
    ranks = graph.settings["search"]["nodes"]
    order = sorted(found, key=lambda address: ranks[address.format()]["rank"])
    for count in range(1, len(order) + 1):
        entered = ranks[order[count - 1].format()]
        assert (entered["rank"], entered["divergence"]) == (count, pytest.approx(divergence(order[:count]), abs=1e-9))
    assert {edge.source: edge.weight for edge in graph.edges} == {n.address: n.effect for n in nodes if n.effect}
    assert (graph.metric.name, graph.metric.value, graph.metric.direction) == ("kl", pytest.approx(0), -1)


def test_sites_follow_each_other_and_edges_lead_forward(tiny: Path) -> None:
    graph = search(tiny, threshold=0.1, top_edges=1000)
    assert graph.sites == ("0", "1", "2")
    found = graph.settings["search"]
    assert found["sites"]["2"]["tokens"] == [5]
    upstream = {n.address.position for n in graph.nodes if n.address.site == Site(0, "resid_pre")}
    assert found["sites"]["1"]["tokens"] == sorted(upstream | {5})
    between = [edge for edge in graph.edges if edge.target.kind == "feature"]
    assert between
    for edge in between:
        assert edge.target.site is not None
        assert edge.source.site is not None
        assert edge.target.site.layer == edge.source.site.layer + 1
        assert (edge.source.position or 0) <= (edge.target.position or 0)
    assert graph.edge_meaning == "activation"
    assert len(found["importance"]) == len(between)
    assert all(0 < value <= 1 for value in found["importance"].values())


@pytest.mark.parametrize(
    "options",
    [
        {"neighbours": 0, "position_weight": 0.0},
        {"neighbours": 0},
        {"position_weight": 0.0},
        {"ablation": "mean"},
        {"ablation": "patch", "patch": "f5d6c3d3c4b3"},
    ],
    ids=["random", "same position", "any position", "mean", "patch"],
)
def test_what_stands_in(tiny: Path, options: dict[str, object]) -> None:
    graph = search(tiny, layers="1:3", threshold=0.2, **options)
    numbers = graph.settings["search"]["sites"]["1"]
    assert numbers["features"] == sum(node.address.site == Site(1, "resid_pre") for node in graph.nodes)
    assert graph.settings["ablation"] == options.get("ablation", "resample")
    assert graph.dumps() == search(tiny, layers="1:3", threshold=0.2, **options).dumps()


def test_a_threshold_below_what_the_dictionary_costs_is_told(tiny: Path, saecli) -> None:
    asked = ("trace", tiny, "--game", GAME, "--method", "search", "--ablation", "zero", "--layers", "2:3")
    done = saecli(*asked, "--threshold", "0.0001", "--json")
    assert done.code == 0, done.err
    (one,) = json.loads(done.out)["searched"]
    assert not one["reached"]
    assert one["all"] > 0.0001
    assert "no set falls below 0.0001 nats" in done.err
    assert f"{one['all']:.3g} with all of the dictionary" in done.err
    none = saecli(*asked, "--threshold", "1e9", "--out", "none")
    assert none.code == 1
    assert "with no feature kept at any site" in none.err


def test_the_graph_can_be_validated(tiny: Path, saecli) -> None:
    asked = ("trace", tiny, "--game", GAME, "--method", "search", "--ablation", "zero", "--layers", "1:3")
    assert saecli(*asked, "--threshold", "0.2", "--out", "found").code == 0
    done = saecli("validate", "found", "--draws", "2", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["metric"] == "kl"
    summary = saecli(*asked, "--threshold", "0.2", "--out", "found")
    assert "active features keep it within" in summary.out


BAD = {
    "a target": (["--target", "E3"], "takes no --target"),
    "another metric": (["--metric", "logit"], "no --metric but kl"),
    "a limit on nodes": (["--top-nodes", "3"], "--method search does by --threshold"),
    "a pin": (["--pin", "1:3"], "keeps what it finds"),
    "a part of the first site": (["--first-fraction", "0.5"], "one after the other"),
    "no residual site": (["--kind", "mlp_out"], "looks at residual sites"),
    "samples of nothing": (["--ablation", "zero", "--samples", "3"], "--ablation zero is not"),
    "data of nothing": (["--ablation", "zero", "--data", "othello"], "--data is read with"),
    "another method": (["--method", "gradient", "--threshold", "0.1"], "belongs to --method search"),
}


@pytest.mark.parametrize("case", BAD)
def test_contradictions_are_refused(case: str, tiny: Path, tmp_path: Path, saecli) -> None:
    arguments, words = BAD[case]
    method = [] if "--method" in arguments else ["--method", "search"]
    done = saecli("trace", tiny, "--game", GAME, *method, *arguments)
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert not list(tmp_path.iterdir())


def test_games_that_begin_with_the_input_do_not_answer_it() -> None:
    from saecli.core.codes import Codes, SiteCodes
    from saecli.trace.search_data import _begin_with, _some

    codes = Codes(
        torch.tensor([1, 2, 3, 1, 2, 1, 2, 4, 5], dtype=torch.int32),
        torch.tensor([0, 3, 5, 9]),
        {},
    )
    assert _begin_with(codes, torch.tensor([1, 2, 4])).tolist() == [False, False, True]
    assert _begin_with(codes, torch.tensor([1, 2])).tolist() == [True, True, True]
    site = SiteCodes(torch.tensor([0, 2, 2, 3]), torch.tensor([4, 5, 6]), torch.tensor([1.0, 2.0, 3.0]))
    some = _some(site, torch.tensor([False, True, True]))
    assert (some.starts_T.tolist(), some.features_N.tolist(), some.values_N.tolist()) == ([0, 0, 1], [6], [3.0])
