"""SAEBench's core result file: its fields as sae-bench 0.6 declares them, its numbers from their plain formulas."""

import json
from dataclasses import replace

import pytest
import torch

from saecli.core.dictionary import DictionaryConfig
from saecli.core.fidelity import Sample, measure_suites
from saecli.core.gpt import GPT, GPTConfig
from saecli.core.hooks import thin_gpt
from saecli.core.site import Site
from saecli.core.suite import Suite, SuiteInfo
from saecli.dictionaries import make_dictionary
from saecli.formats.saebench import Measurement, eval_results, largest_cosines

D, VOCAB, F = 6, 11, 10
SITE = Site(1, "resid_pre")
MEASUREMENT = Measurement("0123abcd", "tiny", "float32", "some-data", 8)

TOP = {
    "eval_type_id": str,
    "eval_config": dict,
    "eval_id": str,
    "datetime_epoch_millis": int,
    "eval_result_metrics": dict,
    "eval_result_details": list,
    "sae_bench_commit_hash": str,
    "sae_lens_id": str,
    "sae_lens_release_id": str,
    "sae_lens_version": type(None),
    "sae_cfg_dict": dict,
    "eval_result_unstructured": dict,
}
CONFIG = {
    "model_name": str,
    "llm_dtype": str,
    "batch_size_prompts": int,
    "n_eval_reconstruction_batches": int,
    "n_eval_sparsity_variance_batches": int,
    "dataset": str,
    "context_size": int,
    "compute_kl": bool,
    "compute_ce_loss": bool,
    "compute_l2_norms": bool,
    "compute_sparsity_metrics": bool,
    "compute_variance_metrics": bool,
    "compute_featurewise_density_statistics": bool,
    "compute_featurewise_weight_based_metrics": bool,
    "exclude_special_tokens_from_reconstruction": bool,
    "verbose": bool,
}
METRICS = {
    "model_behavior_preservation": ("kl_div_score", "kl_div_with_ablation", "kl_div_with_sae"),
    "model_performance_preservation": (
        "ce_loss_score",
        "ce_loss_with_ablation",
        "ce_loss_with_sae",
        "ce_loss_without_sae",
    ),
    "reconstruction_quality": ("explained_variance", "explained_variance_legacy", "mse", "cossim"),
    "shrinkage": ("l2_norm_in", "l2_norm_out", "l2_ratio", "relative_reconstruction_bias"),
    "sparsity": ("l0", "l1"),
    "token_stats": ("total_tokens_eval_reconstruction", "total_tokens_eval_sparsity_variance"),
    "misc_metrics": (
        "freq_over_1_percent",
        "freq_over_10_percent",
        "normalized_freq_over_1_percent",
        "normalized_freq_over_10_percent",
        "average_max_encoder_cosine_sim",
        "average_max_decoder_cosine_sim",
        "frac_alive",
    ),
}
DETAILS = (
    "index",
    "feature_density",
    "consistent_activation_heuristic",
    "encoder_bias",
    "encoder_norm",
    "encoder_decoder_cosine_sim",
    "max_decoder_cosine_sim",
    "max_encoder_cosine_sim",
)


@pytest.fixture(scope="module")
def measured():
    """A random TopK dictionary whose last feature is zero and dead; its document, and what it is made of."""
    torch.manual_seed(0)
    model = thin_gpt(GPT(GPTConfig(VOCAB, 8, 2, 2, D)), "tiny")
    with torch.no_grad():
        for parameter in model.module.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.4)
    one = make_dictionary(DictionaryConfig("topk", D, F, SITE, SITE, D, {"k": 3})).requires_grad_(False)
    for parameter in one.parameters():
        parameter.copy_(torch.randn_like(parameter))
    one.W_enc_DF[:, -1], one.W_dec_FD[-1], one.b_enc_F[-1] = 0, 0, -9
    tokens = torch.randint(VOCAB, (30, 9))
    held, fitting = (Sample(tokens[part, :8], tokens[part, 1:], None) for part in (slice(0, 20), slice(20, 30)))
    suite = Suite.of(SuiteInfo("some", "tiny", context=8), [one])
    fidelity = measure_suites(model, {"some": suite}, [held], [fitting])["some"]
    text = eval_results(one, fidelity.sites[0], fidelity, suite.info, MEASUREMENT, "some", "1")
    return model, one, held, fidelity, json.loads(text), text


def test_every_field_of_the_schema_and_no_other(measured):
    *_, document, _ = measured
    assert {name: type(value) for name, value in document.items()} == TOP
    assert {name: type(value) for name, value in document["eval_config"].items()} == CONFIG
    assert {name: tuple(group) for name, group in document["eval_result_metrics"].items()} == METRICS
    assert [tuple(one) for one in document["eval_result_details"]] == [DETAILS] * F
    assert [one["index"] for one in document["eval_result_details"]] == list(range(F))
    assert (document["eval_type_id"], document["datetime_epoch_millis"]) == ("core", 0)
    assert (document["sae_lens_release_id"], document["sae_lens_id"]) == ("some", "1")
    stated = document["sae_cfg_dict"]
    assert (stated["architecture"], stated["d_in"], stated["d_sae"], stated["k"]) == ("topk", D, F, 3)
    assert stated["metadata"]["hook_name"] == "blocks.1.hook_resid_pre"
    config = document["eval_config"]
    prompts = config["batch_size_prompts"] * config["n_eval_reconstruction_batches"]
    assert (prompts, config["context_size"], config["dataset"]) == (20, 8, "some-data")


def test_numbers_are_what_their_names_say(measured):
    model, one, held, _, document, _ = measured
    with torch.no_grad():
        run = model.run(held.tokens_BS, read=[SITE])
        x, logits = run.sites[SITE].flatten(0, 1), run.logits.flatten(0, 1)
        f = one.encode(x)
        y = one.reconstruct(x)
        changed = {
            name: model.run(held.tokens_BS, write={SITE: lambda _, v=value: v}).logits.flatten(0, 1)
            for name, value in (("sae", y.view(20, 8, D)), ("zero", torch.zeros(20, 8, D)))
        }
    target = held.next_BS.flatten()
    ce = {n: torch.nn.functional.cross_entropy(v, target).item() for n, v in ({"": logits} | changed).items()}
    p = logits.softmax(-1)
    kl = {n: (p * (logits.log_softmax(-1) - v.log_softmax(-1))).sum(-1).mean().item() for n, v in changed.items()}
    x, y, f = x.double(), y.double(), f.double()
    error = (x - y).square().sum(1)
    density = (f > 0).double().mean(0)
    expected = {
        "kl_div_score": 1 - kl["sae"] / kl["zero"],
        "kl_div_with_ablation": kl["zero"],
        "kl_div_with_sae": kl["sae"],
        "ce_loss_score": (ce["zero"] - ce["sae"]) / (ce["zero"] - ce[""]),
        "ce_loss_with_ablation": ce["zero"],
        "ce_loss_with_sae": ce["sae"],
        "ce_loss_without_sae": ce[""],
        "explained_variance": 1 - error.mean() / (x.square().sum(1).mean() - x.mean(0).square().sum()),
        "mse": error.mean(),
        "cossim": torch.cosine_similarity(x, y).mean(),
        "l2_norm_in": x.norm(dim=1).mean(),
        "l2_norm_out": y.norm(dim=1).mean(),
        "l2_ratio": (y.norm(dim=1) / x.norm(dim=1)).mean(),
        "relative_reconstruction_bias": y.square().sum(1).mean() / (x * y).sum(1).mean(),
        "l0": (f != 0).sum(1).double().mean(),
        "l1": f.sum(1).mean(),
        "total_tokens_eval_reconstruction": 160,
        "freq_over_1_percent": (density > 0.01).double().mean(),
        "freq_over_10_percent": (density > 0.1).double().mean(),
        "normalized_freq_over_1_percent": density[density > 0.01].sum() / density.sum(),
        "normalized_freq_over_10_percent": density[density > 0.1].sum() / density.sum(),
        "frac_alive": (density > 0).double().mean(),
    }
    found = {name: value for group in document["eval_result_metrics"].values() for name, value in group.items()}
    for name, value in expected.items():
        assert found[name] == pytest.approx(float(value), rel=2e-4, abs=2e-6), name
    per_prompt = (f.view(20, 8, F) > 0).sum(1)
    for index, row in enumerate(document["eval_result_details"][:-1]):
        encoder, decoder = one.W_enc_DF[:, index], one.W_dec_FD[index]
        assert row["feature_density"] == pytest.approx(density[index].item(), abs=1e-6)
        assert row["encoder_bias"] == pytest.approx(one.b_enc_F[index].item(), abs=1e-6)
        assert row["encoder_norm"] == pytest.approx(encoder.norm().item(), abs=1e-6)
        together = torch.cosine_similarity(encoder, decoder, dim=0).item()
        assert row["encoder_decoder_cosine_sim"] == pytest.approx(together, abs=1e-6)
        often = (per_prompt[:, index].sum() / (per_prompt[:, index] > 0).sum()).nan_to_num(-1).item()
        assert row["consistent_activation_heuristic"] == pytest.approx(often, abs=1e-6)
        others = [torch.cosine_similarity(decoder, one.W_dec_FD[i], dim=0).item() for i in range(F) if i != index]
        assert row["max_decoder_cosine_sim"] == pytest.approx(max(others), abs=1e-6)


def test_what_is_undefined_is_minus_one(measured):
    _, one, _, fidelity, document, _ = measured
    dead = document["eval_result_details"][-1]
    assert (dead["feature_density"], dead["encoder_norm"]) == (0, 0)
    assert (dead["consistent_activation_heuristic"], dead["encoder_decoder_cosine_sim"]) == (-1, -1)
    site = fidelity.sites[0]
    undefined = replace(site, dictionary=replace(site.dictionary, kl=replace(site.dictionary.kl, value=float("nan"))))
    text = eval_results(one, undefined, fidelity, SuiteInfo("some", "tiny"), MEASUREMENT, "some", "1")
    assert json.loads(text)["eval_result_metrics"]["model_behavior_preservation"]["kl_div_with_sae"] == -1


def test_the_same_measurement_gives_the_same_bytes_and_another_one_another_id(measured):
    _, one, _, fidelity, document, text = measured
    again, other = (
        eval_results(one, fidelity.sites[0], fidelity, SuiteInfo("some", "tiny", context=8), which, "some", "1")
        for which in (MEASUREMENT, replace(MEASUREMENT, fingerprint="89abcdef"))
    )
    assert again == text
    assert json.loads(other)["eval_id"] != document["eval_id"]


def test_largest_cosines_in_blocks_are_those_of_the_whole_matrix():
    rows_FD = torch.randn(1100, 3, generator=torch.Generator().manual_seed(0))
    unit_FD = rows_FD / rows_FD.norm(dim=1, keepdim=True)
    whole_FF = (unit_FD @ unit_FD.T).fill_diagonal_(-2)
    torch.testing.assert_close(largest_cosines(rows_FD), whole_FF.amax(1))
    assert largest_cosines(rows_FD[:1]).isnan().all()
