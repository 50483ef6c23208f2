"""Sums over connections, by hand."""

from __future__ import annotations

import torch

from saecli.core.site import Site
from saecli.pruned.affine import AffineBlock, Norm
from saecli.pruned.edges import Heads, edge_sums
from saecli.pruned.pattern import Pattern

ONE_EDGE = Pattern((Site(0, "attn_out"),), (1,), torch.tensor([0, 1]).int(), torch.tensor([0]).int())
READS, WRITES = torch.tensor([[[2.0, 0.0]]]), torch.tensor([[1.0, 0.0]])
PATTERN = torch.tensor([[[[1.0, 0.0], [0.25, 0.75]]]])
SCALES = torch.tensor([[2.0], [4.0]])
HEADS = Heads(torch.eye(2)[None], PATTERN / SCALES[:, 0])


def test_an_mlp_feature():
    found_TF = edge_sums(ONE_EDGE, torch.zeros(1, 1).long(), torch.tensor([[3.0]]), READS, [WRITES]) / 1.5
    assert found_TF.tolist() == [[4.0]]


def test_an_attention_feature():
    values_TK = torch.tensor([[4.0], [8.0]])
    found_TF = edge_sums(ONE_EDGE, torch.zeros(2, 1).long(), values_TK, READS, [WRITES], HEADS)
    assert found_TF[1].tolist() == [4.0]


def test_an_upstream_bias_is_mixed_by_the_pattern_and_in_the_reference_is_not():
    eye = torch.eye(2)[None]
    block = AffineBlock(Norm(torch.ones(2), torch.zeros(2), False), eye, eye, torch.zeros(2))
    bias_D = torch.tensor([1.0, 0.0])
    mixed_BSD = block.attention(bias_D.expand(1, 2, 2), PATTERN / SCALES[:, 0])
    assert (mixed_BSD @ READS[0, 0])[0, 1] == 0.625
    assert (block.unmixed(bias_D) / SCALES @ READS[0, 0])[1] == 0.5


def test_index_memory_is_one_int32_per_connection():
    pattern = Pattern((), (4,), torch.tensor([0, 2, 2, 3]).int(), torch.tensor([0, 3, 1]).int())
    assert pattern.n_bytes == 4 * (3 + 4)
    across, order_E = pattern.transposed()
    assert across.indptr_F1.tolist() == [0, 1, 2, 2, 3]
    assert across.columns_E.tolist() == [0, 2, 0]
    assert order_E.tolist() == [0, 2, 1]
