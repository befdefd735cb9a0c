"""Corpora: labelled documents, the public corpora's readers, checks and conversions."""
