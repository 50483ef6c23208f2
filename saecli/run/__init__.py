"""`saecli run`: the steps of a template one after the other, or a finished run again."""
