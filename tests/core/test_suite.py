"""Suites: which sites a slice means, and which models they refuse."""

from dataclasses import replace

import pytest
import torch

from saecli.core.dictionary import DictionaryConfig
from saecli.core.errors import InputError, UsageError
from saecli.core.fingerprint import fingerprint_module, fingerprint_tensors
from saecli.core.gpt import GPT, GPTConfig
from saecli.core.hooks import thin_gpt
from saecli.core.site import Site
from saecli.core.suite import Suite, SuiteInfo
from saecli.dictionaries import make_dictionary


def suite(sites: list[Site], name: str = "othello-mini", **info: object) -> Suite:
    configs = [DictionaryConfig("topk", 8, 16, site, site, 8, {"k": 2}) for site in sites]
    return Suite.of(
        SuiteInfo(name, "othello-mini", **info),  # type: ignore[arg-type]
        [make_dictionary(config).requires_grad_(False) for config in configs],
    )


MODULES = [Site(layer, kind) for layer in range(8) for kind in ("attn_out", "mlp_out")]
OURS = suite([Site(layer, "resid_pre") for layer in range(9)] + MODULES)
POST = suite([Site(layer, "resid_post") for layer in range(8)] + MODULES, residual="resid_post")


def labels(made: Suite, *args: object) -> str:
    return " ".join(made.label(site) for site in made.resolve(*args))  # type: ignore[arg-type]


def test_sites_are_in_the_order_of_depth():
    assert labels(OURS).startswith("0 0.attn_out 0.mlp_out 1 1.attn_out")
    assert len(OURS) == 25


def test_a_suite_joined_with_a_part_of_another_has_both():
    attention = OURS.only([site for site in OURS if site.kind == "attn_out"])
    transcoders = Suite.of(
        SuiteInfo("transcoders", "othello-mini", measured={Site(0, "mlp_in"): {"l0": 2.0}}),
        [
            make_dictionary(DictionaryConfig("topk", 8, 16, Site(layer, "mlp_in"), Site(layer, "mlp_out"), 8, {"k": 2}))
            for layer in range(8)
        ],
    )
    both = transcoders.joined(attention)
    assert labels(both).startswith("0.attn_out 0.mlp_in 1.attn_out 1.mlp_in")
    assert both[Site(3, "attn_out")] is OURS[Site(3, "attn_out")]
    assert both[Site(3, "mlp_in")] is transcoders[Site(3, "mlp_in")]
    assert both.info.name == "transcoders"
    assert both.info.measured == {Site(0, "mlp_in"): {"l0": 2.0}}
    assert both.fingerprints[Site(3, "attn_out")] == OURS.fingerprints[Site(3, "attn_out")]


def test_suites_of_other_weights_or_of_one_site_are_not_joined():
    here = suite([Site(0, "attn_out")], name="mine")
    with pytest.raises(InputError, match="mine and folded do not belong together: their processing is 'raw'"):
        here.joined(suite([Site(1, "attn_out")], name="folded", processing="folded"))
    with pytest.raises(InputError, match="mine has two dictionaries at one site"):
        here.joined(suite([Site(0, "attn_out")]))


def test_a_slice_is_residual_sites_and_what_lies_between():
    assert labels(OURS, "6:9") == "6 6.attn_out 6.mlp_out 7 7.attn_out 7.mlp_out 8"
    assert labels(OURS, "-1:") == "8"
    assert labels(OURS, "3") == "3"
    assert labels(OURS, ":") == labels(OURS)


def test_the_usual_site_is_the_residual_one_at_five_eighths_of_the_depth():
    assert [made.label(site) for made in (OURS, POST) for site in made.usual_sites] == ["5", "4"]
    assert suite(MODULES[:3]).usual_sites == tuple(MODULES[:3])
    assert [one.layer for one in suite([Site(layer, "resid_pre") for layer in range(5)]).usual_sites] == [2]


def test_with_resid_post_labels_also_what_writes_the_first():
    assert labels(POST, "6:8") == "6.attn_out 6.mlp_out 6 7.attn_out 7.mlp_out 7"


def test_without_residual_sites_a_slice_means_blocks():
    modules = suite(MODULES)
    assert labels(modules, "6:8") == "6.attn_out 6.mlp_out 7.attn_out 7.mlp_out"
    with pytest.raises(UsageError, match=r"has blocks 0\.\.7; try --layers 5:8"):
        modules.resolve("8:")


def test_kinds_filter():
    assert labels(OURS, "6:9", ["mlp_out"]) == "6.mlp_out 7.mlp_out"
    assert labels(OURS, "6:9", ["resid_post"]) == "6 7 8"
    with pytest.raises(UsageError, match=r"--kind mlp_post: othello-mini has resid_pre, attn_out, mlp_out"):
        OURS.resolve("6:9", ["mlp_post"])
    with pytest.raises(UsageError, match="selects no site"):
        OURS.resolve("6", ["mlp_out"])


def test_an_empty_slice_says_what_there_is():
    with pytest.raises(UsageError) as caught:
        OURS.resolve("9:12")
    expected = "--layers 9:12 selects no residual site: othello-mini has 0..8; try --layers 6:9"
    assert str(caught.value) == expected
    with pytest.raises(UsageError, match="has 2, 5; try --layers 3:6"):
        suite([Site(2, "resid_pre"), Site(5, "resid_pre")]).resolve("3:5")


def test_dictionaries_are_read_once_and_only_when_used():
    read = []

    def load(site: Site):
        read.append(site)
        return OURS[site]

    lazy = Suite(OURS.info, list(OURS.configs.values()), load, OURS.fingerprints)
    assert lazy.fingerprint == OURS.fingerprint
    assert not read
    for site in lazy.resolve("7:9"):
        assert lazy[site] is lazy[site]
    assert read == list(lazy.resolve("7:9"))


MODEL = thin_gpt(GPT(GPTConfig(61, 9, 2, 2, 8)), "tiny", vocabulary="othello")
SMALL = [Site(layer, "resid_pre") for layer in range(3)]


def for_model(**info: object) -> Suite:
    known = {"model_fingerprint": fingerprint_module(MODEL.module), "vocabulary": "othello"}
    return suite(SMALL, name="small", **{**known, **info})


def test_a_suite_attaches_to_its_model():
    made = for_model()
    assert made.attach(MODEL) is made


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ({"vocabulary": "chess"}, "vocabulary 'chess', tiny has 'othello'"),
        ({"processing": "folded"}, "for folded weights of othello-mini, and tiny has raw weights"),
        ({"model_fingerprint": "v1:0123456789"}, r"othello-mini \(v1:01234567\), and the weights of tiny are others"),
    ],
)
def test_another_model_is_refused(info, message):
    with pytest.raises(InputError, match=message):
        for_model(**info).attach(MODEL)


def test_another_shape_is_refused():
    with pytest.raises(InputError, match=r"dictionary at 3\.resid_pre, which tiny does not have"):
        suite([Site(3, "resid_pre")]).attach(MODEL)
    wide = thin_gpt(GPT(GPTConfig(61, 9, 2, 2, 16)), "wide", vocabulary="othello")
    with pytest.raises(InputError, match=r"width 8 at 0\.resid_pre, where wide has 16"):
        for_model().attach(wide)


def test_fingerprints_tell_values_names_and_shapes_apart_but_not_storage():
    x = torch.randn(2, 3).half()
    base = fingerprint_tensors({"x": x})
    assert base.startswith("v1:")
    assert base == fingerprint_tensors({"x": x.float()}) == fingerprint_tensors({"x": x.double()})
    others = [{"y": x}, {"x": x.T}, {"x": x.reshape(3, 2)}, {"x": x + 1}, {"x": x.double() / 3}]
    assert len({base, *map(fingerprint_tensors, others)}) == 6


def test_two_dictionaries_at_one_site_are_refused():
    with pytest.raises(InputError, match="two dictionaries at one site"):
        Suite(
            replace(OURS.info, name="twice"),
            [POST.configs[Site(0, "resid_post")], OURS.configs[Site(1, "resid_pre")]],
            OURS.__getitem__,
            OURS.fingerprints,
        )
