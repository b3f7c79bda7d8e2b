"""A version as a model that predicts, and a reader that follows the newest one."""
