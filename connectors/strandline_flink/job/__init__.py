"""What is submitted: its options, its topology, and the process that submits it."""
