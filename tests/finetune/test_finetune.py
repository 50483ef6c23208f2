"""Finetuning through connections: losses and gradients against plain formulas, dead latents, norms, resume, ranks."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from saecli.core.errors import Failure, InputError, UsageError
from saecli.core.ranks import ranks_here
from saecli.data.source import Batch
from saecli.finetune.config import FinetuneConfig
from saecli.finetune.loop import Finetuning
from saecli.finetune.objective import Objective, Whole, revival
from saecli.finetune.trained import TrainedSuite
from saecli.learning.rate import learning_rate, peak_rate
from saecli.pruned.quality import measure_pruned
from saecli.pruned.suite import PrunedSuite
from tests.processes import run_ranks
from tests.pruned.tiny import LENGTH, VOCAB, connections, model, random_masks, random_suite

CONFIG = FinetuneConfig(suite="tiny", steps=6, sequences=4, decay=0.5, log_every=2, dead_after=50, aux_coefficient=0.5)


def batch_of(rows: int = 4, seed: int = 7) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    tokens_BS = torch.randint(0, VOCAB, (rows, LENGTH), generator=generator)
    next_BS = torch.cat([tokens_BS[:, 1:], torch.full((rows, 1), -1)], 1)
    return Batch(tokens_BS, next_BS)


class Sequences:
    """Random tokens."""

    vocabulary, vocab_size, n_ctx = "", VOCAB, LENGTH

    def batch(self, step: int) -> Batch:
        return batch_of(CONFIG.sequences, step)

    def evaluate(self, model: torch.nn.Module) -> dict[str, float]:
        raise AssertionError("finetuning measures by itself")


def begun(config: FinetuneConfig = CONFIG, ranks=None, **settings) -> TrainedSuite:
    of = model("sequential")
    suite = random_suite(of)
    linked = connections(of, suite, random_masks(of, suite))
    return TrainedSuite(replace(config, **settings), of, suite, linked, *([ranks] if ranks else []))


def weights_of(trained: TrainedSuite) -> dict[str, torch.Tensor]:
    return {
        f"{site}.{name}": value.detach().clone()
        for site, one in trained.pruned.dictionaries.items()
        for name, value in one.state_dict().items()
    }


def test_the_losses_are_their_formulas():
    of = model("sequential")
    suite = random_suite(of)
    pruned = PrunedSuite(of, suite, connections(of, suite, random_masks(of, suite)))
    batch = batch_of()
    frozen = pruned.freeze(batch.tokens_BS)
    run = pruned.run(frozen)
    whole = Whole.of(frozen, batch)

    fvu = sum(pruned.fvu(frozen, run).values())
    logits = pruned.logits(frozen, run)
    ce = pruned.ce(frozen, run)
    p, q = of.run(batch.tokens_BS).logits.softmax(-1), logits.softmax(-1)
    kl = (p * (p.log() - q.log())).sum(-1).mean()
    for name, expected in {"fvu": fvu, "ce": ce, "kl": kl}.items():
        loss, terms = Objective({name: 2.0})(pruned, frozen, run, batch, whole, 0)
        assert float(loss.detach()) == pytest.approx(2 * float(expected.detach()), rel=1e-9)
        assert float(terms[name]) == pytest.approx(float(expected) / (4 if name == "fvu" else 1), rel=1e-9)
    mixed, _ = Objective({"kl": 1.0, "fvu": 0.1})(pruned, frozen, run, batch, whole, 0)
    assert float(mixed) == pytest.approx(float(kl) + 0.1 * float(fvu), rel=1e-9)


def test_a_known_distribution_of_the_next_token_takes_the_place_of_the_token():
    of = model("sequential")
    suite = random_suite(of)
    pruned = PrunedSuite(of, suite, connections(of, suite, random_masks(of, suite)))
    batch = batch_of()
    certain = torch.nn.functional.one_hot(batch.next_BS.clamp_min(0), VOCAB) * (batch.next_BS >= 0)[..., None]
    known = Batch(batch.tokens_BS, batch.next_BS, certain.double())
    frozen = pruned.freeze(batch.tokens_BS)
    run = pruned.run(frozen)
    losses = [Objective({"ce": 1.0})(pruned, frozen, run, one, Whole.of(frozen, one), 0)[0] for one in (batch, known)]
    assert float(losses[0]) == pytest.approx(float(losses[1]), rel=1e-12)


def test_modules_count_one_after_the_other_where_they_are_staggered():
    of = model("sequential")
    suite = random_suite(of)
    pruned = PrunedSuite(of, suite, connections(of, suite, random_masks(of, suite)))
    batch = batch_of()
    frozen = pruned.freeze(batch.tokens_BS)
    run = pruned.run(frozen)
    whole, parts = Whole.of(frozen, batch), [float(one) for one in pruned.fvu(frozen, run).values()]
    objective = Objective({"fvu": 1.0}, stagger=10)
    for step, begun_modules in ((0, 1), (9, 1), (10, 2), (29, 3), (30, 4), (500, 4)):
        loss, _ = objective(pruned, frozen, run, batch, whole, step)
        assert float(loss) == pytest.approx(sum(parts[:begun_modules]), rel=1e-9)


def test_dead_latents_learn_what_is_unexplained_through_their_pruned_preactivations():
    of = model("sequential")
    suite = random_suite(of)
    dictionary = next(iter(suite.values()))
    generator = torch.Generator().manual_seed(0)
    pre_TF = torch.randn(6, 24, generator=generator, dtype=torch.float64, requires_grad=True)
    residual_TD = torch.randn(6, 16, generator=generator, dtype=torch.float64)
    dead_N = torch.tensor([1, 4, 5, 20])
    found = revival(dictionary, pre_TF, dead_N, residual_TD, float(residual_TD.square().sum()), 6, aux_k=2)
    explained = torch.zeros_like(residual_TD)
    for t in range(6):
        for latent in sorted(dead_N.tolist(), key=lambda i: -float(pre_TF[t, i]))[:2]:
            explained[t] += max(float(pre_TF[t, latent]), 0.0) * dictionary.W_dec_FD[latent].detach()
    missed = (residual_TD - explained).square().sum() / residual_TD.square().sum()
    lift = (-pre_TF[:, dead_N]).clamp_min(0).mean()
    assert float(found) == pytest.approx(float(missed + lift), rel=1e-9)
    found.backward()
    assert pre_TF.grad is not None
    assert (pre_TF.grad[:, dead_N] != 0).any(0).all()
    assert not pre_TF.grad[:, [0, 2, 3]].any()


def test_learning_rates_are_those_of_the_reference():
    assert peak_rate(2048) == pytest.approx(2.828427e-3, rel=1e-6)
    assert peak_rate(3072) == pytest.approx(1e-3 * 2.3094, rel=1e-4)
    assert peak_rate(2048, 5e-4) == 5e-4
    assert [learning_rate(step, 10, 0.0, 0.3) for step in range(10)] == pytest.approx([1.0] * 8 + [2 / 3, 1 / 3])


@pytest.mark.parametrize("loss", ["fvu", "ce", "kl"])
def test_steps_on_one_batch_make_the_loss_small_and_a_rate_of_zero_changes_nothing(loss: str):
    trained = begun(loss=loss, aux_coefficient=0.0, lr=5e-3)
    batch = batch_of()
    frozen = trained.pruned.freeze(batch.tokens_BS)
    whole, before = Whole.of(frozen, batch), weights_of(trained)
    first = trained.step(frozen, batch, whole, 0, 0.0)["loss"]
    assert all(torch.equal(value, before[name]) for name, value in weights_of(trained).items())
    for number in range(60):
        last = trained.step(frozen, batch, whole, number, 1.0)["loss"]
    assert last < 0.9 * first
    changed = {name for name, value in weights_of(trained).items() if not torch.equal(value, before[name])}
    assert {name.rpartition(".")[2] for name in changed} >= {"W_enc_DF", "b_enc_F", "W_dec_FD", "b_dec_D"}


def test_the_model_and_the_suite_that_was_given_stay_as_they_are():
    of = model("sequential")
    suite = random_suite(of)
    given = {site: copy.deepcopy(one.state_dict()) for site, one in suite.items()}
    frozen_weights = {name: value.clone() for name, value in of.module.state_dict().items()}
    trained = TrainedSuite(CONFIG, of, suite, connections(of, suite, random_masks(of, suite)))
    batch = batch_of()
    frozen = trained.pruned.freeze(batch.tokens_BS)
    trained.step(frozen, batch, Whole.of(frozen, batch), 0, 1.0)
    for site, one in suite.items():
        assert all(torch.equal(value, given[site][name]) for name, value in one.state_dict().items())
    assert all(torch.equal(value, frozen_weights[name]) for name, value in of.module.state_dict().items())


def test_decoder_rows_keep_the_norm_they_have_if_asked():
    norms = {}
    for choice in ("kept", "free"):
        trained = begun(decoder_norm=choice, lr=1e-2)
        before = {site: one.W_dec_FD.detach().norm(dim=1) for site, one in trained.pruned.dictionaries.items()}
        for number in range(4):
            batch = batch_of(seed=number)
            frozen = trained.pruned.freeze(batch.tokens_BS)
            trained.step(frozen, batch, Whole.of(frozen, batch), number, 1.0)
        after = {site: one.W_dec_FD.detach().norm(dim=1) for site, one in trained.pruned.dictionaries.items()}
        norms[choice] = max(float((after[site] - before[site]).abs().max()) for site in before)
    assert norms["kept"] < 1e-12 < 1e-3 < norms["free"]


def test_silence_is_counted_in_tokens_and_ends_when_a_latent_fires():
    trained = begun()
    batch = batch_of()
    frozen = trained.pruned.freeze(batch.tokens_BS)
    run = trained.pruned.run(frozen)
    trained.step(frozen, batch, Whole.of(frozen, batch), 0, 0.0)
    for site, silent_F in trained.silent.items():
        fired = (trained.pruned.dense_features(site, run) != 0).any(0)
        assert torch.equal(silent_F == 0, fired)
        assert set(silent_F[~fired].tolist()) <= {4 * LENGTH}


def test_what_is_not_finite_ends_the_run_before_anything_changes():
    trained = begun()
    batch = batch_of()
    frozen = trained.pruned.freeze(batch.tokens_BS)
    with torch.no_grad():
        next(trained.pruned.parameters())[0, 0] = math.nan
    before = weights_of(trained)
    with pytest.raises(Failure, match="at step 1"):
        trained.step(frozen, batch, Whole.of(frozen, batch), 0, 1.0)
    assert all(
        torch.equal(value.nan_to_num(), before[name].nan_to_num()) for name, value in weights_of(trained).items()
    )


class Clock:
    """Asks to stop after a step."""

    def __init__(self, after: int) -> None:
        self._left = after

    def __call__(self) -> bool:
        self._left -= 1
        return self._left < 0


def test_a_resumed_run_ends_in_the_same_bits(tmp_path: Path):
    found = []
    for name, breaks in (("whole", ()), ("broken", (0, 2))):
        for after in (*breaks, 99):
            trained = begun(loss="fvu,kl=0.5", stagger=2)
            training = Finetuning(CONFIG, {"": trained}, Sequences(), {"suite": "a"}, tmp_path / name)
            assert training.run(Clock(after)) == (after == 99)
        found.append((weights_of(trained), (tmp_path / name / "metrics.jsonl").read_bytes()))
    (whole, metrics), (broken, again) = found
    assert metrics == again
    assert metrics.count(b"\n") == 3
    assert all(torch.equal(value, whole[name]) for name, value in broken.items())
    with pytest.raises(InputError, match="suite = a, not b"):
        Finetuning(CONFIG, {"": begun()}, Sequences(), {"suite": "b"}, tmp_path / "broken").run()


def _finetuned(folder: Path) -> dict[str, list]:
    ranks = ranks_here()
    ranks.join("cpu")
    trained = begun(ranks=ranks, loss="fvu,ce,kl=0.5")
    Finetuning(CONFIG, {"": trained}, Sequences(), {}, folder, ranks=ranks).run()
    return {name: value.tolist() for name, value in weights_of(trained).items()}


@pytest.mark.slow
def test_several_processes_end_where_one_does(tmp_path: Path):
    alone = begun(loss="fvu,ce,kl=0.5")
    Finetuning(CONFIG, {"": alone}, Sequences(), {}, tmp_path / "one").run()
    assert alone.dead_share > 0  # so that the auxiliary loss is part of what is compared
    together = run_ranks(3, _finetuned, tmp_path / "three")
    assert together[0] == together[1] == together[2]
    for name, value in weights_of(alone).items():
        assert torch.allclose(torch.tensor(together[0][name], dtype=value.dtype), value, rtol=1e-8, atol=1e-10), name


def test_the_measurement_is_that_of_the_pruned_pass():
    from saecli.core.sample import Sample

    of = model("sequential")
    suite = random_suite(of)
    linked = connections(of, suite, random_masks(of, suite))
    pruned = PrunedSuite(of, suite, linked)
    batches = [batch_of(3, seed) for seed in (1, 2)]
    samples = [Sample(one.tokens_BS, one.next_BS) for one in batches]
    found = measure_pruned({"mine": pruned}, samples)["mine"]
    whole = batch_of(3, 1), batch_of(3, 2)
    tokens_BS = torch.cat([one.tokens_BS for one in whole])
    next_BS = torch.cat([one.next_BS for one in whole])
    frozen = pruned.freeze(tokens_BS)
    with torch.no_grad():
        run = pruned.run(frozen)
        assert found.ce.value == pytest.approx(float(pruned.ce(frozen, run)), rel=1e-9)
    assert found.tokens == 6 * (LENGTH - 1)
    counted = next_BS.flatten() >= 0
    for site, one in found.modules.items():
        target = frozen.targets[site].flatten(0, 1)[counted]
        written = run.written[site].flatten(0, 1)[counted]
        spread = (target - target.mean(0)).square().sum()
        assert one.fvu.value == pytest.approx(float((target - written).square().sum() / spread), rel=1e-9)
        fired = pruned.dense_features(site, run)[counted] != 0
        assert one.l0.value == pytest.approx(float(fired.sum(-1).double().mean()))
        assert one.dead_share == pytest.approx(float((~fired.any(0)).double().mean()))
        assert one.edges.value == pytest.approx(_edges_by_hand(pruned, linked, site, run, counted))


def _edges_by_hand(pruned, linked, site, run, counted) -> float:
    down = pruned.dense_features(site, run) != 0
    used = 0
    for up in pruned.dictionaries:
        if (site, up) not in linked.rows:
            continue
        active = pruned.dense_features(up, run) != 0
        for token in counted.nonzero()[:, 0].tolist():
            start = token // LENGTH * LENGTH
            before = active[start : token + 1].any(0) if site.kind == "attn_out" else active[token]
            for feature in down[token].nonzero()[:, 0].tolist():
                used += int(before[linked.row(site, up, feature).indices_E.long()].sum())
    return used / int(counted.sum())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"loss": "mse"}, "is no loss"),
        ({"loss": "kl,kl"}, "is named twice"),
        ({"loss": "kl=0"}, "no positive number"),
        ({"loss": "kl=x"}, "no positive number"),
        ({"c": "10,x"}, "expected different numbers"),
        ({"c": "10,10"}, "expected different numbers"),
        ({"c": "0"}, "expected different numbers"),
        ({"loss": "ce", "stagger": 5}, "belongs to the loss fvu"),
        ({"warmup": 0.8, "decay": 0.4}, "more than the whole run"),
    ],
)
def test_contradictions_are_named(settings: dict, words: str):
    with pytest.raises(UsageError, match=words):
        FinetuneConfig(**settings)
