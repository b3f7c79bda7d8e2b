"""A broker, a cluster, events and their second opinion: for the demo, development and tests."""
