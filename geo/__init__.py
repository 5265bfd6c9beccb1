"""Places: the index of friends, the gazetteer, coverage and imports."""
