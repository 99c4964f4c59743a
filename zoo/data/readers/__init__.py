"""Readers: from the form in which a data set is published to records, one form a file."""
