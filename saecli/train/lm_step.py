"""One step of a language model's training: the loss, the schedule, the optimisers, gradients of several processes.

The gradient of a step is that of the mean over all predictions of the batch. It is a sum over parts of the batch, so it
is the same, but for rounding, whether one process computes the batch at once, in pieces one after the other
(``--micro-batch``), or several processes compute a part each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from saecli.core.errors import InputError
from saecli.core.gpt import GPT
from saecli.core.ranks import Ranks
from saecli.data.source import Batch
from saecli.train.lm_config import TrainLMConfig
from saecli.train.muon import Muon


def learning_rate(step: int, steps: int, warmup: int, schedule: str = "cosine", least: float = 0.0) -> float:
    """The factor 0..1 on the highest learning rate at a step from 0.

    Linear warm-up, (step + 1) / warmup; then 1 (``constant``), or half a cosine (``cosine``) down to ``least``:

        least + (1 - least) (1 + cos(π (step - warmup) / (steps - warmup))) / 2

    gpt-circuits counts steps from 1, so its cosine is one step ahead.
    """
    if step < warmup:
        return (step + 1) / warmup
    if schedule == "constant":
        return 1.0
    return least + (1 - least) * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def next_token_loss(logits_BSV: Tensor, batch: Batch, targets: str, count: Tensor | None = None) -> Tensor:
    """Cross-entropy in nats, summed over the positions with something to predict and divided by their number.

    Args:
        logits_BSV: float [B, S, V].
        batch: what they should predict.
        targets: ``sampled``, ``expected`` or ``auto``; see :mod:`saecli.train.lm`.
        count: number to divide by, if the batch is a part of a larger one.

    Raises:
        InputError: ``targets`` is "expected" and the batch has no distribution.
    """
    here_BS = batch.next_BS >= 0
    count = here_BS.sum() if count is None else count
    logits_BSV = logits_BSV if logits_BSV.dtype == torch.float64 else logits_BSV.float()
    logp_BSV = logits_BSV.log_softmax(-1)
    if targets == "sampled" or (targets == "auto" and batch.expected_BSV is None):
        logp_BS = logp_BSV.gather(-1, batch.next_BS.clamp_min(0)[..., None])[..., 0]
        return -(logp_BS * here_BS).sum() / count
    if batch.expected_BSV is None:
        raise InputError("This data has no known next-token distribution.", "Use --targets sampled.")
    return -(batch.expected_BSV * logp_BSV).sum() / count


def make_optimizers(model: GPT, config: TrainLMConfig) -> list[torch.optim.Optimizer]:
    """AdamW for everything, or Muon for the matrices inside blocks and AdamW for the rest.

    Weight decay is on tensors of two dimensions, embeddings included, and not on the rest; betas 0.9 and 0.95.
    """
    use_muon = config.optimizer == "muon"
    matrices: list[tuple[nn.Parameter, int]] = []
    rest: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if use_muon and parameter.dim() == 2 and name.startswith("transformer.h."):
            matrices.append((parameter, 3 if name.endswith("c_attn.weight") else 1))
        else:
            rest.append(parameter)
    groups = [
        {"params": [parameter for parameter in rest if parameter.dim() == 2], "weight_decay": config.weight_decay},
        {"params": [parameter for parameter in rest if parameter.dim() == 1], "weight_decay": 0.0},
    ]
    optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.95))]
    if use_muon:
        optimizers.append(Muon(matrices, lr=config.muon_lr, weight_decay=config.weight_decay))
    return optimizers


def accumulate_gradients(
    model: GPT, batch: Batch, config: TrainLMConfig, ranks: Ranks, stop: Callable[[], bool]
) -> tuple[float, bool]:
    """Adds the gradient of a batch's mean loss, of which this process computes its part, to the model's.

    Args:
        batch: the whole batch, the same on every process.
        stop: tells whether this process was asked to stop; asked once, at the end.

    Returns:
        The mean loss of the whole batch, and whether any process was asked to stop.
    """
    share = ranks.part(len(batch.tokens_BS))
    count = (batch.next_BS >= 0).sum().to(config.device)
    size = config.micro_batch or share.stop - share.start
    total = torch.zeros((), dtype=torch.float64)
    for start in range(share.start, share.stop, size):
        piece = batch.rows(start, min(start + size, share.stop)).to(config.device)
        with torch.autocast(config.device, torch.bfloat16, enabled=config.precision == "bf16"):
            logits_BSV = model(piece.tokens_BS)
        loss = next_token_loss(logits_BSV, piece, config.targets, count)
        loss.backward()
        total += loss.detach().cpu()
        del logits_BSV, loss  # or the next piece is computed beside this one
    if ranks.size == 1:
        return total.item(), stop()
    return sum_gradients(model.parameters(), total.item(), ranks, stop())


def sum_gradients(parameters: Iterable[nn.Parameter], total: float, ranks: Ranks, stopping: bool) -> tuple[float, bool]:
    """Sums gradients, the loss and wishes to stop over processes, in one exchange."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    told = gradients[0].new_tensor([total, float(stopping)])
    flat = torch.cat([*(gradient.flatten() for gradient in gradients), told])
    ranks.sum_(flat)
    parts = flat.split([gradient.numel() for gradient in gradients] + [2])
    for gradient, part in zip(gradients, parts[:-1], strict=True):
        gradient.copy_(part.view_as(gradient))
    loss, stops = parts[-1].tolist()
    return loss, stops > 0
