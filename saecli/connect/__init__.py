"""Which upstream features each feature of a suite may depend on: the engine of ``saecli connect``."""
