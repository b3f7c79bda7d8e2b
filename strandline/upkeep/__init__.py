"""Work beside the line of versions: bases, garbage, and the check of every byte."""
