"""Preference data: where it comes from, how its columns are read, which pairs it makes."""
