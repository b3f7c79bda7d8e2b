"""VW from its wheel, on a file of its text format, or on JSON that a command writes to its stdin.

`python -m bench.peer_vw FILE`, or `python -m bench.peer_vw /dev/stdin kcat …`. The wheel has no
program `vw`; its library runs the same driver, parser thread included, when a workspace is made
with `-d`. VW's labels are -1 and 1 by default; `--logistic_min 0` lets it read ours.
"""

import json
import os
import subprocess
import sys
import time

from vowpalwabbit import pyvw

FTRL = (
    "--ftrl --ftrl_alpha 0.05 --ftrl_beta 1 --loss_function logistic --logistic_min 0"
    " --logistic_max 1 --link logistic -b 22"
)


def main() -> None:
    file, *command = sys.argv[1:]
    form = " --json" if command else ""
    started = time.perf_counter()
    if command:
        source = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert source.stdout is not None
        os.dup2(source.stdout.fileno(), 0)
        source.stdout.close()
    vw = pyvw.Workspace(f"{FTRL} --quiet -d {file}{form}")
    events = int(vw.get_weighted_examples())
    seconds = time.perf_counter() - started
    log_loss = vw.get_sum_loss() / events
    if command and source.wait():
        sys.exit(f"{command[0]} ended with {source.returncode}")
    print(json.dumps({"events": events, "seconds": seconds, "log_loss": log_loss}))


if __name__ == "__main__":
    main()
