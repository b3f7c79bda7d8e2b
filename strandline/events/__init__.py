"""How events come in: records of bytes in blocks that name their positions."""
