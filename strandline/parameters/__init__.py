"""The files that hold parameters, deltas and bases, and the parameters of a version from them."""
