"""`strandline warm`: compile ahead what predicting and learning need."""

import sys
import time

from strandline.cli.arguments import Json
from strandline.cli.output import err, print_json
from strandline.kernels.compiling import KernelCache
from strandline.learners.loading import warm_up


def command(json: Json = False) -> None:
    """Compile all kernels for this machine's processor, and keep their code.

    For images and set-ups: no first prediction and no first event then waits for a compiler. What
    is kept already is not compiled again. Machines with another kind of processor compile anew.

    Example: `strandline warm`
    """
    begun_s = time.monotonic()
    if sys.stderr.isatty():
        err().print("compiling, up to a minute", style="dim")
    warm_up()
    took_s = time.monotonic() - begun_s
    if json:
        print_json({"compiled": KernelCache.compiled, "seconds": round(took_s, 1)})
    else:
        print(f"{KernelCache.compiled} kernels compiled in {took_s:.1f} s")
