"""``saecli convert``: text into token shards, dictionaries into other formats."""
