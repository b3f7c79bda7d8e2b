"""`strandline run`: what is checked first, what is started, and what is watched."""
