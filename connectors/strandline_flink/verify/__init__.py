"""`strandline verify`: training a store's versions again from a topic or a file."""
