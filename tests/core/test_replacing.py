"""Replacing a site and running only what follows is writing it in a whole pass, in sequential and parallel blocks."""

import pytest
import torch

from saecli.core.replacing import Replacing, read_with
from saecli.core.site import KINDS, Site
from tests.core.tiny_models import VOCAB, tiny


@pytest.mark.parametrize("family", ["gpt2", "neox", "neox-sequential", "gemma2"])
def test_every_kind_of_site(family):
    module, make = tiny(family)
    model = make(module, family)
    tokens = torch.randint(VOCAB, (3, 7), generator=torch.Generator().manual_seed(1))
    replacing = Replacing(model)
    kinds = [kind for kind in KINDS if not (model.info.parallel and kind == "resid_mid")]
    for site in [Site(layer, kind) for layer in range(2) for kind in kinds]:
        replacing.sites = model.run(tokens, read=read_with(model.info, site)).sites
        y = torch.randn(replacing.sites[site].shape, generator=torch.Generator().manual_seed(2))
        whole = model.run(tokens, write={site: lambda _, y=y: y}).logits
        torch.testing.assert_close(
            replacing.logits(site, y), whole, rtol=1e-4, atol=1e-5, msg=lambda m, s=site: f"{s} {m}"
        )
