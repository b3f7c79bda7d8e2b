"""How values become bytes, and bytes values: canonical JSON, structs, tensor files."""
