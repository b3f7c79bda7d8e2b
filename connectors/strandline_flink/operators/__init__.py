"""The Python operators of the job, the elements between them and Java, and how Python runs."""
