"""What an n-gram model of characters reaches on the text that a language model is measured on.

    python benchmarks/ngram.py [data:python] [--orders 1,2,3,4,5,6] [--model python-mini]

Trained on the split ``train`` of token shards, measured on every token of ``val`` (for ``data:python`` whole packages,
and beside them those of ``test``, by which nothing was chosen), each predicted from those before it. The model reads
windows of its context, one after the other, and every prediction counts, those with little before them as well.

Interpolated Kneser-Ney with one discount per order (Chen and Goodman 1999, section 2.7): with c the count of a sequence
at the highest order, and below it the number of different tokens that precede it,

    P(w | h) = (c(h w) - D)+ / c(h .)  +  D N(h .) / c(h .)  P(w | h without its first token)

N(h .) is how many different tokens follow h, D = n1 / (n1 + 2 n2) from the numbers of sequences counted once and twice,
and below the first order every token is equally likely.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Order:
    """What is known of sequences of n tokens.

    Attributes:
        codes: int64 [G], the sequences as numbers to the base of the vocabulary, ascending.
        counts: float64 [G], c.
        contexts: int64 [H], their first n - 1 tokens, ascending.
        totals, kinds: float64 [H], c(h .) and N(h .).
        discount: D.
    """

    codes: Codes
    counts: npt.NDArray[np.float64]
    contexts: Codes
    totals: npt.NDArray[np.float64]
    kinds: npt.NDArray[np.float64]
    discount: float


class KneserNey:
    """Interpolated Kneser-Ney over tokens.

    Args:
        tokens_T: int [T], what is learned from, at least n tokens.
        order: n; the n - 1 tokens before it tell of the next one.
        vocab_size: number of tokens V; V^n must be below 2^63.
    """

    def __init__(self, tokens_T: npt.NDArray[np.integer], order: int, vocab_size: int):
        if order < 1 or len(tokens_T) < order or vocab_size**order >= 1 << 63:
            raise ValueError(f"no {order}-grams of {len(tokens_T)} tokens, of {vocab_size}")
        self.order, self.vocab_size = order, vocab_size
        codes, counts = np.unique(sequences(tokens_T, order, vocab_size), return_counts=True)
        self.orders = [_order(codes, counts, vocab_size)]
        for n in range(order - 1, 0, -1):
            codes, counts = np.unique(codes % vocab_size**n, return_counts=True)
            self.orders.insert(0, _order(codes, counts, vocab_size))

    def probabilities(self, tokens_T: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
        """float64 [T]: of every token after those before it, as many as there are up to n - 1."""
        found = np.full(len(tokens_T), 1 / self.vocab_size)
        for n, order in enumerate(self.orders, start=1):
            if len(tokens_T) < n:
                break
            codes = sequences(tokens_T, n, self.vocab_size)
            at, known = _find(order.contexts, codes // self.vocab_size)
            place, seen = _find(order.codes, codes)
            count = np.where(seen, order.counts[place], 0.0)
            lower = found[n - 1 :]
            total = order.totals[at]
            mixed = (np.maximum(count - order.discount, 0) + order.discount * order.kinds[at] * lower) / total
            found[n - 1 :] = np.where(known, mixed, lower)
        return found


def sequences(tokens_T: npt.NDArray[np.integer], n: int, vocab_size: int) -> Codes:
    """int64 [T - n + 1]: every n tokens in a row as one number, the last token its lowest digit."""
    count = len(tokens_T) - n + 1
    found = np.zeros(count, dtype=np.int64)
    for place in range(n):
        found = found * vocab_size + tokens_T[place : place + count]
    return found


def _order(codes: Codes, counts: npt.NDArray[np.integer], vocab_size: int) -> Order:
    contexts, first = np.unique(codes // vocab_size, return_index=True)
    once, twice = (np.count_nonzero(counts == number) for number in (1, 2))
    discount = once / (once + 2 * twice) if once else 0.5
    return Order(
        codes,
        counts.astype(np.float64),
        contexts,
        np.add.reduceat(counts, first).astype(np.float64),
        np.diff(np.append(first, len(codes))).astype(np.float64),
        discount,
    )


def _find(ascending: Codes, wanted: Codes) -> tuple[Codes, npt.NDArray[np.bool_]]:
    """Where each wanted number stands, and whether it does."""
    at = np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)
    return at, ascending[at] == wanted


def main() -> None:
    parser = argparse.ArgumentParser(description="n-grams of characters as a control")
    parser.add_argument("data", nargs="?", default="data:python")
    parser.add_argument("--orders", default="1,2,3,4,5,6")
    parser.add_argument("--model", default="")
    options = parser.parse_args()

    from saecli.data.sets import open_source
    from saecli.data.shard_source import ShardSource
    from saecli.data.windows import Stream

    source = open_source(options.data, batch_size=1, seed=0, held_out=1)
    assert isinstance(source, ShardSource)
    train, val = (Stream(source.shards, split) for split in ("train", "val"))
    train_T, val_T = (one.read(0, len(one)).astype(np.int64) for one in (train, val))
    texts = {"val": val_T} | ({"test": test_packages()} if options.data == "data:python" else {})
    sizes = ", ".join(f"{len(text_T):,} of {name}" for name, text_T in texts.items())
    print(f"{options.data}: {len(train_T):,} tokens to learn from, {sizes}; nats per token on {' and '.join(texts)}")
    for n in map(int, options.orders.split(",")):
        ngram = KneserNey(train_T, n, source.vocab_size)
        ces = [-np.log(ngram.probabilities(text_T)).mean() for text_T in texts.values()]
        print(f"{n}-gram", *(f"{ce:.4f}" for ce in ces), flush=True)
    if options.model:
        print(options.model, *(f"{model_ce(options.model, text_T):.4f}" for text_T in texts.values()))


def test_packages() -> npt.NDArray[np.int64]:
    """The characters of the standard library's packages that no split of ``data:python`` has, int64 [T]."""
    from saecli.data.python_source import modules

    text = "".join(module.text for module in modules() if module.split == "test")
    return np.frombuffer(text.encode("ascii", "replace"), dtype=np.uint8).astype(np.int64)


def model_ce(name: str, tokens_T: npt.NDArray[np.int64]) -> float:
    """Mean cross-entropy in nats of all tokens but the first."""
    import torch

    from zoo.load import load_model

    model, total = load_model(name), 0.0
    with torch.no_grad():
        for start in range(0, len(tokens_T) - 1, model.info.n_ctx):
            window = torch.from_numpy(tokens_T[start : start + model.info.n_ctx + 1])
            logits_BSV = model.run(window[None, :-1]).logits
            assert logits_BSV is not None
            total += torch.nn.functional.cross_entropy(logits_BSV[0], window[1:], reduction="sum").item()
    return total / (len(tokens_T) - 1)


if __name__ == "__main__":
    main()
