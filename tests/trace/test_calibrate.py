"""``saecli trace --calibrate`` and traces by its thresholds."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from saecli.attribution.clean import ERROR, SiteNodes
from saecli.core.site import Site
from saecli.data.sequences import open_sequences
from saecli.trace.percentile import Percentile
from saecli.trace.select import Choice, Pin
from zoo.load import load_model, load_suite

GAME = "f5d6c3d3c4f4"
QUICK = ("--threads", "1", "--device", "cpu")
FEW = ("--calibrate", "othello", "--calibrate-sequences", "6")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("SAECLI_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.floats(0, 100), st.integers(0, 2**31), st.integers(1, 9))
def test_percentiles_are_those_of_the_whole_column(tokens: int, percentile: float, seed: int, parts: int) -> None:
    """Zeros included, in any number of pieces, pruned after every one or not."""
    generator = torch.Generator().manual_seed(seed)
    acts_TF = torch.rand(tokens, 5, generator=generator)
    acts_TF *= torch.rand(tokens, 5, generator=generator) < torch.tensor([0.0, 0.1, 0.5, 0.9, 1.0])
    found = Percentile(5, percentile, tokens)
    for part_TF in acts_TF.tensor_split(parts):
        row_N, feature_N = part_TF.nonzero(as_tuple=True)
        found.add(feature_N, part_TF[row_N, feature_N], len(part_TF))
        if seed % 2:
            found._prune()  # as when much has come together
    wanted = np.percentile(acts_TF.double().numpy(), percentile, axis=0)
    np.testing.assert_allclose(found.values().numpy(), wanted, rtol=1e-6, atol=1e-9)


def test_thresholds_are_of_real_tokens_and_kept_by_dictionary(tiny, saecli, tmp_path, cache) -> None:
    """The same by the dense way; padding behind short games does not count; the list is in the run directory."""
    done = saecli("trace", tiny, *QUICK, *FEW, "--percentile", "80", "--layers", "1:", "--json", "--out", "run")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert document["schema"] == "saecli.trace-calibrate/1"
    sequences = open_sequences("othello", 6)
    assert document["tokens"] == document["counted"] == sequences.tokens
    suite, model = load_suite(str(tiny)), load_model(str(tiny))
    rows = {row["feature"]: float(row["threshold"]) for row in csv.DictReader((tmp_path / "run/thresholds.csv").open())}
    here_BS = torch.arange(sequences.tokens_BS.shape[1]) < sequences.lengths_B[:, None]
    for site in (Site(1, "resid_pre"), Site(1, "attn_out"), Site(2, "resid_pre")):
        x_TD = model.run(sequences.tokens_BS.long(), read=[site], stop_after=site).sites[site][here_BS]
        wanted = np.percentile(suite[site].encode(x_TD).detach().numpy(), 80, axis=0)
        found = [rows[f"{suite.label(site)}:{index}"] for index in range(40)]
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
        assert 0 < sum(value > 0 for value in found) < 40
    files = {path.name for path in (cache / "thresholds").iterdir()}
    assert files == {f"{suite.fingerprints[site].replace(':', '-')}.safetensors" for site in list(suite)[3:]}


@pytest.mark.parametrize("flags", [(), ("--method", "ablation"), ("--method", "ig", "--steps", "3")])
def test_a_trace_keeps_what_exceeds_its_threshold(flags, tiny, saecli, tmp_path) -> None:
    assert saecli("trace", tiny, *QUICK, *FEW, "--percentile", "70", "--out", "calibration").code == 0
    rows = csv.DictReader((tmp_path / "calibration/thresholds.csv").open())
    floor = {row["feature"]: float(row["threshold"]) for row in rows}
    call = ("trace", tiny, "--game", GAME, *QUICK, "--top-edges", "1", *flags)
    whole = saecli(*call, "--keep", "1", "--out", "whole")
    some = saecli(*call, "--node-threshold", "calibrated", "--out", "some")
    assert (whole.code, some.code) == (0, 0), some.err
    every, kept = (json.loads((tmp_path / name / "graph.json").read_text()) for name in ("whole", "some"))
    assert kept["settings"]["calibration"]["percentile"] == 70
    assert kept["settings"]["node_threshold"] == "calibrated"

    def nodes(graph: dict) -> dict[str, dict]:
        return {
            n["id"]: n for n in graph["nodes"] if n["id"][0].isdigit() and "error" not in n["id"] and n["activation"]
        }

    wanted = {
        name: node
        for name, node in nodes(every).items()
        if node["activation"] > floor[name.partition("@")[0]] * (1 + 1e-6) and node["effect"]
    }
    assert set(nodes(kept)) == set(wanted)
    assert 3 < len(wanted) < len(nodes(every))
    for name, node in nodes(kept).items():
        assert node["effect"] == pytest.approx(wanted[name]["effect"], rel=1e-4)


def test_without_thresholds_the_command_is_named(tiny, saecli) -> None:
    done = saecli("trace", tiny, "--game", GAME, *QUICK, "--node-threshold", "calibrated", "--out", "bad")
    assert (done.code, done.err.count("Error:")) == (3, 1)
    assert "no thresholds are kept for 0 0.attn_out" in done.err
    assert "--calibrate DATA" in done.err
    saecli("trace", tiny, *QUICK, *FEW, "--layers", "2", "--out", "one")
    assert (
        "kept for 1 1.attn_out"
        in saecli(
            "trace", tiny, "--game", GAME, *QUICK, "--layers", "1:", "--node-threshold", "calibrated", "--out", "bad"
        ).err
    )
    saecli("trace", tiny, *QUICK, *FEW, "--layers", "1:2", "--percentile", "50", "--out", "two")
    mixed = saecli(
        "trace", tiny, "--game", GAME, *QUICK, *("--layers", "1:", "--kind", "resid_pre"),
        *("--node-threshold", "calibrated", "--out", "bad"),
    )  # fmt: skip
    assert (mixed.code, "of several calibrations" in mixed.err) == (3, True)


def test_another_calibration_is_another_trace(tiny, saecli) -> None:
    """What was traced by earlier thresholds is not taken for what later ones give."""
    call = ("trace", tiny, "--game", GAME, *QUICK, "--node-threshold", "calibrated", "--json")
    found = []
    for percentile in ("60", "95"):
        saecli("trace", tiny, *QUICK, *FEW, "--percentile", percentile, "--out", f"at{percentile}")
        document = json.loads(saecli(*call).out)
        assert not document["reused"]
        found.append(document["nodes"])
    assert found[0] > found[1]
    assert json.loads(saecli(*call).out)["reused"]


def test_clusters(tiny, saecli, tmp_path) -> None:
    """Their tokens add up to all, the largest first; the data stay as they are; the same seed finds the same."""
    call = ("trace", tiny, *QUICK, *FEW, "--layers", "1:", "--json")
    sizes, texts = [], []
    for number in range(3):
        done = saecli(*call, "--cluster", f"3:{number}", "--out", f"run{number}")
        assert done.code == 0, done.err
        document = json.loads(done.out)
        sizes.append(document["counted"])
        texts.append(document["cluster_tokens"])
        assert document["cluster"] == f"3:{number}"
    assert sum(sizes) == document["tokens"]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] > 0
    assert all(texts)
    again = json.loads(saecli(*call, "--cluster", "3:0", "--out", "again").out)
    assert (again["counted"], again["cluster_tokens"]) == (sizes[0], texts[0])
    assert (tmp_path / "run0/thresholds.csv").read_bytes() == (tmp_path / "again/thresholds.csv").read_bytes()
    assert (tmp_path / "run0/thresholds.csv").read_bytes() != (tmp_path / "run1/thresholds.csv").read_bytes()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--percentile", "99"), "--percentile belongs to --calibrate"),
        (("--cluster", "3:0"), "--cluster belongs to --calibrate"),
        (("--node-threshold", "calibrated", "--prompts", "pairs.jsonl"), "--prompts names many"),
        ((*FEW, "--cluster", "3:3"), "no cluster"),
        ((*FEW, "--cluster", "3"), "no cluster"),
        ((*FEW, "--percentile", "101"), "at most 100"),
        ((*FEW, "--top-nodes", "3"), "--calibrate traces nothing"),
        ((*FEW, "--cluster", "9999:0"), "Ask for fewer"),
        (("--calibrate", "nowhere.txt"), "nowhere.txt"),
    ],
)
def test_bad_calibrations_are_refused(flags, words, tiny, saecli, cache) -> None:
    done = saecli("trace", tiny, *QUICK, *flags, "--out", "bad")
    assert (done.code in (2, 3), done.err.count("Error:")) == (True, 1), done.err
    assert words in done.err
    assert not (cache / "thresholds").exists()


def test_a_threshold_is_exceeded_not_met_and_spares_errors_and_pins() -> None:
    site = Site(1, "resid_pre")
    nodes = SiteNodes(
        site,
        torch.tensor([0, 0, 0, 1, 1]),
        torch.tensor([0, 1, 2, 2, ERROR]),
        torch.tensor([1.0, 2.0, 3.0, 3.5, 0.1]),
        torch.zeros(5, 0),
        torch.ones(5),
    )
    floor_F = torch.tensor([2.0, 2.0, 3.0])
    assert Choice([], {site: floor_F}).counts(nodes).tolist() == [False, False, False, True, True]
    assert Choice([Pin(site, 0)], {site: floor_F}).counts(nodes).tolist() == [True, False, False, True, True]
    assert Choice([], {Site(0, "mlp_out"): floor_F}).counts(nodes).all()
