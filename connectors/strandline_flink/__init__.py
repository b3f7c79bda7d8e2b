"""Strandline on Apache Flink: operators, handles, jars, the dev broker and their commands."""
