"""Parameters as tables of rows, changes of rows, and the rows of a shard."""
