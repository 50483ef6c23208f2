"""The pruned forward pass: a suite computed through its own features, each given only those it is connected with.

Norm scales and attention patterns are those of the true model on the same tokens (:mod:`saecli.pruned.frozen`).
Between features everything is then linear: :mod:`saecli.pruned.affine` says what a block's norms and heads do to a
vector of the residual stream, :mod:`saecli.pruned.pattern` which features are connected, :mod:`saecli.pruned.edges`
sums over the connections and back-propagates through them, and :mod:`saecli.pruned.suite` is the pass.
"""
