"""Changed features: known answers, and the plain formula in place of the edits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from saecli.attribution.circuit_joint import first_residual, without
from saecli.attribution.intervene import Change, FeatureChange, Intervention, activations
from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.errors import UsageError
from saecli.core.site import Site
from saecli.dictionaries import make_dictionary
from tests.attribution.test_known_answers import gate
from tests.hand_models import random_dictionary, random_model

TOKENS_BS = torch.tensor([[1, 5, 2, 7, 3]])


def changed(site: Site, index: int, how: str, value: float | Tensor, position: int | None = None) -> FeatureChange:
    return FeatureChange(site, index, position, Change(how, value))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "changes", "answer"),
    [
        ("and", {0: ("set", 0.0)}, 0),
        ("and", {0: ("scale", 2.0)}, 2),  # relu(2 + 1 - 1)
        ("and", {0: ("add", 3.0), 1: ("set", 0.0)}, 3),  # relu(4 + 0 - 1)
        ("or", {0: ("set", 0.0)}, 1),  # the other one is enough
        ("or", {0: ("set", 0.0), 1: ("set", 0.0)}, 0),
        ("or", {0: ("scale", 5.0)}, 1),  # saturated
    ],
)
def test_gates(kind: str, changes: dict[int, tuple[str, float]], answer: float) -> None:
    clean = gate(kind)
    (site,) = clean.sites
    features = [changed(site, index, *change) for index, change in changes.items()]
    end = clean.metric.site(clean.model.info)
    edits = Intervention(clean.dictionaries, features).edits()
    run = clean.model.run(clean.tokens_S[None], read=[end], write=edits)
    assert float(clean.metric.measure(clean.model, run.sites[end][:, clean.metric.position])[0]) == answer


@pytest.mark.parametrize("normalize", [None, "layer_norm", "constant_norm_rescale"])
@pytest.mark.parametrize("how", ["set", "scale", "add"])
def test_edits_are_the_formula(how: str, normalize: str | None) -> None:
    """Everything but the feature stays, at this position or all; the error of the dictionary too."""
    site, model = Site(1, "resid_pre"), random_model()
    options = {} if normalize is None else {"normalize": normalize}
    dictionary = random_dictionary(site, 8, seed=3, **options)
    x_BSD = model.run(TOKENS_BS, read=[site]).sites[site]
    acts_BSF = dictionary.encode(x_BSD)
    assert torch.equal(activations(dictionary, x_BSD), acts_BSF)
    index = int(acts_BSF[0, 3].argmax())
    for position in (None, 3):
        other_BSF = acts_BSF.clone()
        here = slice(None) if position is None else position
        value = {"set": torch.tensor(1.7), "scale": acts_BSF[0, here, index] * 1.7}.get(
            how, acts_BSF[0, here, index] + 1.7
        )
        other_BSF[0, here, index] = value.double()
        restore = dictionary.prepare(x_BSD)[1]
        wanted = x_BSD + restore(dictionary.decode(other_BSF)) - restore(dictionary.decode(acts_BSF))
        intervention = Intervention({site: dictionary}, [changed(site, index, how, 1.7, position)])
        found = model.run(TOKENS_BS, read=[site], write=intervention.edits()).sites[site]
        torch.testing.assert_close(found, wanted)
        torch.testing.assert_close(intervention.seen[intervention.features[0]], acts_BSF[..., index])


def test_later_sites_see_what_was_changed_before_them() -> None:
    """=0 of several sites together is the removal of ``--features``; in any order."""
    sites = [Site(0, "mlp_out"), Site(1, "resid_pre"), Site(1, "attn_out")]
    model = random_model()
    dictionaries = {site: random_dictionary(site, 8, seed=number) for number, site in enumerate(sites)}
    removed = {site: torch.tensor([0, 4, 7]) for site in sites}
    start = first_residual(removed)
    stream = model.run(TOKENS_BS, read=[start]).sites[start]
    wanted = without(model, dictionaries, removed, start, stream).logits_BSV
    features = [changed(site, int(i), "set", 0.0) for site in reversed(sites) for i in removed[site]]
    logits = model.run(TOKENS_BS, write=Intervention(dictionaries, features).edits()).logits
    assert logits is not None
    torch.testing.assert_close(logits, wanted)


def test_rows_of_a_batch_have_values_of_their_own() -> None:
    site, model = Site(1, "resid_pre"), random_model()
    dictionary = random_dictionary(site, 8, seed=3)
    index = int(dictionary.encode(model.run(TOKENS_BS, read=[site]).sites[site])[0, 3].argmax())
    scales = torch.tensor([0.0, 1.0, 2.5], dtype=torch.float64)
    together = model.run(
        TOKENS_BS.expand(3, -1),
        write=Intervention({site: dictionary}, [changed(site, index, "scale", scales)]).edits(),
    ).logits
    for row, scale in enumerate(scales.tolist()):
        edits = Intervention({site: dictionary}, [changed(site, index, "scale", scale)]).edits()
        alone = model.run(TOKENS_BS, write=edits).logits
        assert together is not None
        assert alone is not None
        torch.testing.assert_close(together[row], alone[0])
    plain = model.run(TOKENS_BS).logits
    assert plain is not None
    torch.testing.assert_close(together[1], plain[0])


def transcoder(**options: object) -> Dictionary:
    reads, writes = Site(0, "resid_mid"), Site(0, "mlp_out")
    dictionary = make_dictionary(DictionaryConfig("standard", 8, 12, reads, writes, 8, dict(options))).double()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in dictionary.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.5)
    return dictionary.requires_grad_(False)


def test_transcoders_are_read_at_one_site_and_changed_at_another() -> None:
    model, dictionary = random_model(), transcoder()
    reads, writes = dictionary.config.reads, dictionary.config.writes
    before = model.run(TOKENS_BS, read=[reads, writes]).sites
    acts_BSF = dictionary.encode(before[reads])
    index = int(acts_BSF.sum((0, 1)).argmax())
    wanted = before[writes] - acts_BSF[..., index, None] * dictionary.W_dec_FD[index]
    edits = Intervention({reads: dictionary}, [changed(reads, index, "set", 0.0)]).edits()
    after = model.run(TOKENS_BS, read=[reads, writes], write=edits).sites
    torch.testing.assert_close(after[reads], before[reads])
    torch.testing.assert_close(after[writes], wanted)


def test_what_writes_several_sites_is_refused() -> None:
    dictionary = transcoder(writes=["0.mlp_out", "1.mlp_out"])
    with pytest.raises(UsageError, match="write several sites"):
        Intervention({dictionary.config.reads: dictionary}, [changed(dictionary.config.reads, 0, "set", 0.0)])
