"""``saecli view``: the page of a feature, and the reports of runs."""
