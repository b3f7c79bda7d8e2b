"""`strandline demo`: broker, events, job and reader on this machine, watched and then proven."""
