"""Training recorded versions again from their events, and comparing the bits."""
