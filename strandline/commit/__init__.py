"""Phase two: what an epoch proposes to commit, and who may create the next version."""
