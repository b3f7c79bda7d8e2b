"""A Flink cluster as its clients see it: its settings, its folder, its REST interface."""
