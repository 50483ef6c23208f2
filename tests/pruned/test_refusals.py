"""What has no pruned pass, in one sentence each."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from saecli.core.connections import Connections, Module
from saecli.core.dictionary import DictionaryConfig
from saecli.core.errors import InputError, UsageError
from saecli.core.gpt import GPT, GPTConfig
from saecli.core.hooks import thin_gpt
from saecli.core.site import Site
from saecli.dictionaries import make_dictionary
from saecli.pruned.modules import modules_of
from saecli.pruned.suite import PrunedSuite
from tests.pruned.tiny import LENGTH, VOCAB, WIDTH, connections, model, random_suite, suite_of

OF = model()
SUITE = random_suite(OF)
ALL = connections(OF, SUITE)
A2 = Site(2, "attn_out")


def dictionary(reads, writes=None, arch="topk", **options):
    made = make_dictionary(DictionaryConfig(arch, WIDTH, 8, reads, writes or reads, WIDTH, {"k": 2, **options}))
    for parameter in made.parameters():
        parameter.data.zero_()
    return made


def with_first(one):
    """The random suite with its first dictionary replaced."""
    return suite_of(OF, [one, *list(SUITE.values())[1:]])


@pytest.mark.parametrize(
    ("suite", "message"),
    [
        (
            suite_of(OF, [dictionary(Site(0, "resid_pre"))]),
            "no attention-output .* layer 0; it has resid_pre",
        ),
        (suite_of(OF, list(SUITE.values())[:3]), "no MLP transcoder .* at layer 1; it has attn_out, mlp_in to mlp_out"),
        (
            suite_of(OF, [SUITE[Site(0, "attn_out")], dictionary(Site(0, "mlp_out"))]),
            "no MLP transcoder .* at layer 0; it has attn_out, mlp_out",
        ),
        (with_first(dictionary(Site(0, "attn_out"), normalize="layer_norm")), "has the option normalize"),
        (with_first(dictionary(Site(0, "attn_out"), skip=True)), "has the option skip"),
        (with_first(dictionary(Site(0, "attn_out"), arch="matching_pursuit")), "0.attn_out is matching_pursuit"),
    ],
    ids=["residual", "a layer missing", "no transcoder", "normalised", "skip", "architecture"],
)
def test_suites(suite, message):
    with pytest.raises(InputError, match=message):
        modules_of(suite, 2)


def test_dictionaries_at_other_sites_are_left_aside():
    more = suite_of(OF, [*SUITE.values(), dictionary(Site(1, "resid_pre"))])
    assert modules_of(more, 2) == modules_of(SUITE, 2)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (replace(ALL, modules=ALL.modules[:3]), "no module 1.mlp_in"),
        (
            replace(ALL, modules=(*ALL.modules, Module(A2, A2, 3))),
            "2.attn_out, which",
        ),
        (replace(ALL, modules=(replace(ALL.modules[0], n_latents=7), *ALL.modules[1:])), "have 7 features .* has 24"),
        (replace(ALL, parallel=True), "are of parallel blocks, and those .* are sequential"),
        (replace(ALL, suite_fingerprint="v1:0123456789abcdef"), "belong to another suite"),
    ],
    ids=["missing", "more", "width", "parallel", "fingerprint"],
)
def test_connections_of_something_else(other, message):
    with pytest.raises(InputError, match=message):
        PrunedSuite(OF, SUITE, other)


def test_connections_of_this_suite_by_fingerprint():
    PrunedSuite(OF, SUITE, replace(ALL, suite_fingerprint=SUITE.fingerprint))


@pytest.mark.parametrize("options", [{"compat": True}, {"centre": False}], ids=["compat", "no centring"])
def test_raw_weights_are_not_what_the_reference_computes_with(options):
    with pytest.raises(UsageError, match="needs folded weights, and tiny has raw ones"):
        PrunedSuite(OF, SUITE, ALL, **options)


def test_a_suite_of_other_processing():
    with pytest.raises(InputError, match="was made for raw weights"):
        PrunedSuite(model("folded"), SUITE, ALL)


def test_a_batch_of_one_with_the_fvu_of_the_reference():
    of = model("folded")
    suite = random_suite(of)
    pruned = PrunedSuite(of, suite, connections(of, suite), compat=True)
    frozen = pruned.freeze(torch.zeros(1, LENGTH, dtype=torch.int64))
    with pytest.raises(UsageError, match="batch of one sequence"):
        pruned.fvu(frozen, pruned.run(frozen))


def test_a_norm_without_a_scale():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = GPT(GPTConfig(VOCAB, LENGTH, 2, 2, WIDTH, norm="dynamic_tanh"))
    of = thin_gpt(module, "tanh")
    suite = random_suite(of)
    with pytest.raises(InputError, match="tanh has no pruned pass: DynamicTanh has no scale"):
        PrunedSuite(of, suite, connections(of, suite))


def test_a_norm_after_attention():
    from tests.core.tiny_models import D, tiny

    module, make = tiny("gemma2")
    of = make(module, "tiny-gemma")
    made = []
    for layer in range(2):
        for kind, writes in (("attn_out", "attn_out"), ("mlp_in", "mlp_out")):
            one = make_dictionary(DictionaryConfig("topk", D, 8, Site(layer, kind), Site(layer, writes), D, {"k": 2}))
            for parameter in one.parameters():
                parameter.data.zero_()
            made.append(one)
    suite = suite_of(of, made)
    with pytest.raises(InputError, match=r"tiny-gemma has no exact pruned pass: .* 0.attn_out is not"):
        PrunedSuite(of, suite, Connections(modules_of(suite, 2), "all"))
