"""The ground of compiled code: raw memory, a logarithm with the same bits everywhere, arrays."""
