"""``saecli validate`` through the command line, on a tiny model with dictionaries whose answers are known."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch

from saecli.core.dictionary import DictionaryConfig
from saecli.core.fingerprint import fingerprint_module
from saecli.core.gpt import GPT, GPTConfig
from saecli.core.site import Site
from saecli.core.suite import Suite, SuiteInfo
from saecli.dictionaries import make_dictionary
from saecli.formats.hf_gpt2 import load_gpt, save_gpt
from saecli.formats.suite import suite_files
from saecli.validate.metrics import COMPOUND_METRICS, SITE_METRICS, parse_bound
from tests.data.test_shards import write

D = 8
SITES = (Site(0, "resid_pre"), Site(0, "mlp_out"), Site(1, "resid_pre"), Site(2, "resid_pre"))
SITE_LABELS = ("0", "0.mlp_out", "1", "2")
FEW = ("--sequences", "20", "--firing", "10", "--device", "cpu", "--threads", "1")


def save_suite(folder: Path, model: Path, k: int, *, vocabulary: str = "othello", arch: str = "topk") -> None:
    """x = ReLU(x) - ReLU(-x) with the k largest kept: exact when k is the width, zero when the decoder is."""
    made = []
    for site in SITES:
        options = {"temporal": {"n_heads": 1, "bottleneck_factor": 2}, "topk": {"k": max(1, k)}}.get(arch, {})
        width = D if arch == "identity" else 2 * D
        one = make_dictionary(DictionaryConfig(arch, D, width, site, site, D, options)).requires_grad_(False)
        for parameter in one.parameters():
            parameter.zero_()
        if arch == "topk":
            one.W_enc_DF.copy_(torch.cat([torch.eye(D), -torch.eye(D)], dim=1))
            one.W_dec_FD.copy_(one.W_enc_DF.T * (k > 0))
        if arch == "identity":
            one.W_enc_DF.copy_(torch.eye(D))
            one.W_dec_FD.copy_(torch.eye(D))
        made.append(one)
    fingerprint = fingerprint_module(load_gpt(model))
    suite = Suite.of(SuiteInfo(folder.name, "lm", fingerprint, context=12, vocabulary=vocabulary), made)
    for name, data in suite_files(suite, torch.float32).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    gpt = GPT(GPTConfig(61, 59, 2, 2, D))
    with torch.no_grad():
        for parameter in gpt.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    save_gpt(gpt, tmp_path / "lm", vocabulary="othello")
    for name, k in (("whole", D), ("few", 2), ("zero", 0)):
        save_suite(tmp_path / name, tmp_path / "lm", k)
    return tmp_path


def value(document: dict, suite: str, site: str, metric: str) -> float:
    (row,) = [row for row in document["sites"] if (row["suite"], row["site"]) == (suite, site)]
    return row["metrics"][metric]["value"]


def test_known_answers_side_by_side_stored_drawn_and_found_again(folder, saecli):
    call = ("validate", "whole", "few", "zero", "--model", "lm", *FEW, "--json")
    done = saecli(*call)
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert (document["schema"], document["sequences"], document["n_ctx"]) == ("saecli.validate/1", 20, 59)
    assert document["firing_tokens"] > document["tokens"] > 1000
    for site in ("0", "0.mlp_out", "1", "2"):
        for metric, expected in (("variance_explained", 1), ("ce_recovered", 1), ("ce_increase", 0), ("cosine", 1)):
            assert value(document, "whole", site, metric) == pytest.approx(expected, abs=1e-3)
        assert value(document, "zero", site, "ce") == pytest.approx(
            value(document, "whole", site, "zero_ce_increase") + document["ce"]["value"], abs=1e-5
        )
        assert value(document, "zero", site, "ce_recovered_zero") == pytest.approx(0, abs=1e-6)
        assert value(document, "few", site, "l0") <= 2
    for row in document["sites"]:
        assert list(row["metrics"]) == list(SITE_METRICS)
        assert sum(row["density_counts"]) == round(row["latents"] * (1 - row["metrics"]["dead_share"]["value"]))
        assert row["metrics"]["ce"]["low"] <= row["metrics"]["ce"]["value"] <= row["metrics"]["ce"]["high"]
    assert [(row["suite"], row["group"]) for row in document["compound"][:2]] == [
        ("whole", "resid_pre"),
        ("whole", "all"),
    ]
    assert {(row["suite"], row["minus"]) for row in document["differences"]} == {("few", "whole"), ("zero", "whole")}
    (paired,) = [row for row in document["differences"] if (row["suite"], row["site"]) == ("few", "1")]
    difference = value(document, "few", "1", "ce") - value(document, "whole", "1", "ce")
    assert paired["metrics"]["ce"]["value"] == pytest.approx(difference)
    assert paired["metrics"]["ce"]["low"] <= difference <= paired["metrics"]["ce"]["high"]

    run = Path(document["run_directory"])
    rows = list(csv.DictReader((run / "sites.csv").open()))
    assert len(rows) == 3 * (4 * len(SITE_METRICS) + 2 * len(COMPOUND_METRICS))
    assert {row["n"] for row in rows if row["metric"] == "dead_share"} == {str(document["firing_tokens"])}
    curve = list(csv.DictReader((run / "curve.csv").open()))
    assert [(row["site"], row["suite"]) for row in curve] == [
        (site, suite) for site in ("0", "1", "2", "0.mlp_out") for suite in ("zero", "few", "whole")
    ]
    for row in curve:
        for metric in ("l0", "ce_recovered", "variance_explained", "pca_ce_recovered", "pca_variance_explained"):
            assert float(row[metric]) == pytest.approx(value(document, row["suite"], row["site"], metric), rel=1e-5)
    bench = [f"saebench/core/{suite}_{site}_eval_results.json" for suite in document["suites"] for site in SITE_LABELS]
    assert sorted(name for name in document["files"] if name.startswith("saebench")) == sorted(bench)
    found = json.loads((run / "saebench/core/few_0.mlp_out_eval_results.json").read_text())
    preserved = found["eval_result_metrics"]["model_performance_preservation"]
    assert preserved["ce_loss_with_sae"] == pytest.approx(value(document, "few", "0.mlp_out", "ce"), abs=1e-6)
    assert (found["eval_config"]["model_name"], found["eval_config"]["dataset"]) == ("lm", "othello")
    assert found["sae_cfg_dict"]["d_sae"] == len(found["eval_result_details"]) == 2 * D
    for name in ("fidelity", "density", "curve"):
        assert (run / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert b"<svg" in (run / f"{name}.svg").read_bytes()[:500]
    again = saecli(*call)
    assert json.loads(again.out) == {**document, "reused": True}
    other = saecli(*call, "--out", "elsewhere")
    assert json.loads(other.out)["sites"] == document["sites"]
    for name in document["files"]:
        assert (folder / "elsewhere" / name).read_bytes() == (run / name).read_bytes(), name


def test_the_table_is_aligned_and_says_what_sites_do_together(folder, saecli):
    done = saecli("validate", "few", "whole", "--model", "lm", "--layers", "1:3", *FEW)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    table = lines[lines.index("few") + 1 : lines.index("few") + 4]
    assert [line.split()[0] for line in table] == ["site", "1", "2"]
    assert len({line.rindex(line.split()[-1]) for line in table}) == 1
    assert lines[lines.index("few") + 4].startswith("  * silent at all of ")
    assert lines[lines.index("few") + 5].startswith("all together (2 sites): CE increase ")
    assert any(line.startswith("whole minus few: CE increase of all sites together ") for line in lines)


@pytest.mark.parametrize(
    ("require", "code", "words"),
    [
        (("ce_recovered>=0.9", "dead_share <= 1"), 0, "ce_recovered>=0.9 holds"),
        (("variance_explained>=1.01",), 4, "--require variance_explained>=1.01 fails at "),
        (("l0<=3", "compound_ce_increase<=-1"), 4, "--require l0<=3 fails at "),
    ],
)
def test_requirements_decide_the_exit_code_after_results_are_stored(folder, saecli, require, code, words):
    flags = [part for one in require for part in ("--require", one)]
    call = ("validate", "whole", "--model", "lm", *FEW, *flags, "--out", "run")
    for _ in range(2):  # a stored failure fails again
        done = saecli(*call)
        assert done.code == code, done.err
        assert words in (done.err if code else done.out)
        assert done.err.count("Error:") == (1 if code else 0)
    document = json.loads((folder / "run" / "result.json").read_text())
    assert [one["text"] for one in document["required"]] == [one.replace(" ", "") for one in require]
    assert all(one["holds"] for one in document["required"]) == (code == 0)


def test_the_worst_site_is_named(folder, saecli):
    done = saecli("validate", "few", "--model", "lm", *FEW, "--require", "variance_explained>=0.999", "--json")
    document = json.loads(done.out)
    worst = min(document["sites"], key=lambda row: row["metrics"]["variance_explained"]["value"])
    assert done.code == 4
    assert document["required"][0]["site"] == worst["site"]
    assert f"fails at {worst['site']} of few, where it is {document['required'][0]['value']:.4f}" in done.err


def test_text_from_shards_with_a_context_of_its_own(tmp_path, saecli):
    save_gpt(GPT(GPTConfig(40, 16, 2, 2, D)), tmp_path / "lm", vocabulary="ascii")
    save_suite(tmp_path / "whole", tmp_path / "lm", D, vocabulary="ascii")
    text = {split: [[(7 * i * i + i) % 40 for i in range(900)]] for split in ("train", "val")}
    write(tmp_path / "text", text, size=40)
    done = saecli("validate", "whole", "--model", "lm", "--data", "text", *FEW, "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert (document["n_ctx"], document["tokens"], document["allowed"]) == (12, 240, None)
    assert value(document, "whole", "1", "ce_recovered") == pytest.approx(1, abs=1e-3)
    assert "allowed_kept" not in document["sites"][0]["metrics"]
    required = saecli("validate", "whole", "--model", "lm", "--data", "text", *FEW, "--require", "allowed>=0")
    assert required.code == 4
    assert "fails at every site of whole, where it is undefined" in required.err
    for flags, words in (
        ((), "reads ascii, and no data are named"),
        (("--data", "othello"), "is written in 'othello'"),
        (("--data", "text", "--n-ctx", "17"), "reads at most 16 positions"),
        (("--data", "nowhere"), "neither othello nor chess-random, nor data:NAME"),
        (("--data", "text", "--sequences", "500"), "held-out sequences of 12 positions, and 500 were asked for"),
    ):
        done = saecli("validate", "whole", "--model", "lm", *FEW, *flags, "--out", "bad")
        assert done.code in (2, 3), done.err
        assert words in done.err
        assert not (tmp_path / "bad").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("nowhere",), 2, "nowhere"),
        (("few", "few", "--model", "lm"), 2, "named twice"),
        (("few", "--model", "lm", "--layers", "7:9"), 2, "selects no residual site"),
        (("few", "--model", "lm", "--require", "ce_recoverd>=1"), 2, "Did you mean 'ce_recovered'?"),
        (("few", "--model", "lm", "--require", "l0>3"), 2, "is no bound"),
        (("few", "--model", "othello-mini"), 3, "few"),
        (("graph.json",), 3, "graph.json cannot be read: The graph is damaged"),
        (("traced",), 3, "graph.json cannot be read: The graph is damaged"),
        (("traced", "few"), 2, "traced is a circuit graph and few is none"),
        (("few", "--model", "lm", "--min-faithfulness", "0.8"), 2, "--min-faithfulness is asked of a circuit graph"),
        (("wired",), 2, "wired holds connections"),
        (("temporal", "--model", "lm"), 2, "temporal dictionary at 0.resid_pre"),
    ],
)
def test_bad_input_is_one_sentence(folder, saecli, arguments, code, words):
    from safetensors.torch import save_file

    (folder / "traced").mkdir()
    for path in (folder / "graph.json", folder / "traced" / "graph.json"):
        path.write_text('{"schema": "saecli.graph/1"}')
    (folder / "wired").mkdir()
    save_file({"x": torch.zeros(1)}, folder / "wired" / "connections.safetensors", {"schema": "saecli.connections/1"})
    if "temporal" in arguments:
        save_suite(folder / "temporal", folder / "lm", 1, arch="temporal")
    done = saecli("validate", *arguments, *FEW, "--out", "bad")
    assert done.code == code, done.err
    assert words in done.err
    assert done.err.count("Error:") == 1
    assert not (folder / "bad").exists()


@pytest.mark.parametrize(
    ("text", "value", "holds"),
    [
        ("l0<=32", 32.0, True),
        ("l0 <= 3.2e1", 32.1, False),
        ("ce_increase>=-.5", -0.4, True),
        ("kl>=0", float("nan"), False),
    ],
)
def test_bounds(text, value, holds):
    assert parse_bound(text).holds(value) is holds


@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
def test_other_number_types_measure_the_same(folder, saecli, dtype):
    done = saecli("validate", "whole", "--model", "lm", "--layers", "1", *FEW, "--dtype", dtype, "--json")
    assert done.code == 0, done.err
    assert value(json.loads(done.out), "whole", "1", "variance_explained") == pytest.approx(1, abs=1e-3)


def test_neurons_that_are_always_active_can_be_drawn(folder, saecli):
    save_suite(folder / "neurons", folder / "lm", 1, arch="identity")
    done = saecli("validate", "neurons", "--model", "lm", "--kind", "resid_pre", *FEW, "--json")
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert [row["metrics"]["variance_explained"]["value"] for row in document["sites"]] == pytest.approx([1, 1, 1])
    assert document["sites"][0]["density_counts"][-1] == D


def test_numbers_do_not_depend_on_how_many_sequences_are_measured_together(folder, saecli):
    call = ("validate", "few", "--model", "lm", "--layers", "1", *FEW, "--json")
    documents = []
    for flags in (("--batch-size", "3"), ("--batch-size", "auto", "--max-memory", "64G")):
        done = saecli(*call, *flags, "--overwrite")
        assert done.code == 0, done.err
        documents.append(json.loads(done.out))
    several, one = documents
    assert several["run_directory"] == one["run_directory"]
    assert "curve.csv" not in one["files"]
    for metric, found in one["sites"][0]["metrics"].items():
        for end, expected in found.items():
            other = several["sites"][0]["metrics"][metric][end]
            close = expected is other is None or other == pytest.approx(expected, rel=1e-4, abs=1e-5)
            assert close, (metric, end, expected, other)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--batch-size", "0"), "--batch-size 0 is neither a positive number nor auto"),
        (("--max-memory", "100M"), "--max-memory allows 0.10 GB"),
        (("--batch-size", "20", "--max-memory", "100M"), "for 20 of 20 sequences at a time"),
        (("--device", "mps"), "--device mps: must be one of auto, cpu, cuda"),
    ],
)
def test_a_machine_that_cannot_is_refused(folder, saecli, flags, words):
    done = saecli("validate", "few", "--model", "lm", "--layers", "1", *FEW, *flags, "--out", "bad")
    assert done.code == 2, done.err
    assert words in done.err
    assert not (folder / "bad").exists()


def test_plan_and_schema(folder, saecli):
    done = saecli("validate", "few", "--model", "lm", "--kind", "resid_pre", "--plan")
    assert done.code == 0
    assert "few: 0 1 2" in done.out
    schema = json.loads(saecli("schema", "validate").out)
    titles = [one["title"] for one in schema["anyOf"]]
    kinds = ("", "-circuit", "-connections", "-edges", "-features", "-set", "-dose")
    assert titles == [f"saecli.validate{kind}/1" for kind in kinds]
