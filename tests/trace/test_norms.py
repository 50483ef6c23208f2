"""``saecli trace --norms``: whether what a dictionary norms its input by is held fixed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from saecli.attribution.clean import clean_run
from saecli.attribution.metric import CrossEntropyMetric
from saecli.core.graph import FeatureGraph
from saecli.core.site import Site
from saecli.core.suite import Suite, SuiteInfo
from saecli.formats.suite import write_suite
from saecli.trace.config import TraceConfig
from saecli.trace.engine import trace
from tests.hand_models import random_dictionary, random_model
from tests.trace.conftest import LAYERS, WIDTH
from tests.twins.edges import edges_by_stopped_gradients
from zoo.load import load_model, load_suite


@pytest.fixture(scope="module")
def normed(tiny_text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite of the tiny model of text whose dictionaries layer-norm their input."""
    sites = [Site(layer, "resid_pre") for layer in range(LAYERS + 1)]
    made = [random_dictionary(site, WIDTH, seed=n, normalize="layer_norm").float() for n, site in enumerate(sites)]
    folder = tmp_path_factory.mktemp("normed") / "suite"
    write_suite(Suite.of(SuiteInfo("normed", "tiny", vocabulary="ascii"), made), folder)
    return folder


def graph_of(model_folder: Path, suite_folder: Path, **options: Any) -> FeatureGraph:
    config = TraceConfig(
        model=str(model_folder), suite=str(suite_folder), prompt="abcab", keep=1.0, top_edges=10**6, **options
    )
    model = load_model(str(model_folder), dtype=torch.float64)
    return trace(config, model, load_suite(str(suite_folder), dtype=torch.float64).attach(model))


def test_norms_change_edges_and_not_what_nodes_do(tiny_text: Path, normed: Path) -> None:
    frozen, live = (graph_of(tiny_text, normed, norms=norms) for norms in ("frozen", "live"))
    assert frozen.settings["norms"] == "frozen"
    assert live.settings["norms"] == "live"
    effects = {node.address: node.effect for node in frozen.nodes}
    assert {node.address: node.effect for node in live.nodes} == pytest.approx(effects)
    weights = {(edge.source, edge.target): edge.weight for edge in frozen.edges}
    moved = [abs(edge.weight - weights.get((edge.source, edge.target), 0.0)) for edge in live.edges]
    assert max(moved) > 0.01 * max(map(abs, weights.values()))
    for graph in (frozen, live):
        assert graph.accounted == pytest.approx(1, abs=1e-9)


def test_norms_change_what_acts_on_a_target_with_one(tiny_text: Path, normed: Path) -> None:
    whole = graph_of(tiny_text, normed)
    target = next(n for n in whole.nodes if n.address.kind == "feature" and n.address.site == Site(LAYERS, "resid_pre"))
    frozen, live = (graph_of(tiny_text, normed, norms=n, target=str(target.address)) for n in ("frozen", "live"))
    assert frozen.metric.value == pytest.approx(live.metric.value)
    moved = {n.address: n.effect for n in live.nodes}
    assert max(abs(n.effect - moved[n.address]) for n in frozen.nodes if n.address in moved) > 1e-4


@pytest.mark.parametrize("live", [False, True], ids=["frozen", "live"])
def test_both_are_the_same_where_no_input_is_normed(live: bool) -> None:
    model, tokens = random_model(), torch.tensor([3, 1, 4])
    dictionaries = {site: random_dictionary(site, 8) for site in (Site(0, "resid_pre"), Site(1, "resid_pre"))}
    clean = clean_run(model, dictionaries, tokens, CrossEntropyMetric(2, 2, "2"), live_norms=live)
    plain = clean_run(model, dictionaries, tokens, CrossEntropyMetric(2, 2, "2"))
    one, other = edges_by_stopped_gradients(clean), edges_by_stopped_gradients(plain)
    for key, weights in other.items():
        torch.testing.assert_close(one[key], weights, rtol=0, atol=1e-13)


def test_norms_belong_to_gradients(saecli, tiny_text: Path) -> None:
    done = saecli("trace", tiny_text, "--method", "ablation", "--norms", "live")
    assert done.code == 2
    assert "--norms live belongs to --method gradient and ig" in done.err
