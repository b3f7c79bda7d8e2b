"""`python -m strandline.cli`: the command line of this very interpreter."""

from strandline.cli import main

main()
