"""`python -m strandline_flink.jars`: fetch every locked jar and say where they are."""

from rich.console import Console

from strandline.errors import StrandlineError
from strandline_flink.jars.cache import cache_dir
from strandline_flink.jars.fetching import GROUPS, fetch, locked, paths


def main() -> int:
    console = Console(highlight=False, soft_wrap=True)
    try:
        folder = cache_dir("jars")
        jars = dict.fromkeys(jar for group in GROUPS for jar in locked(group))  # some are in two
        missing = [jar for jar in jars if not (folder / jar.name).exists()]
        if missing:
            fetch(missing, folder)
        files = {file for group in GROUPS for file in paths(group)}
    except StrandlineError as error:
        Console(stderr=True, highlight=False).print(f"error: {error}", markup=False)
        return error.exit_code
    size_mb = sum(file.stat().st_size for file in files) / 1e6
    console.print(f"{len(files)} jars, {size_mb:.0f} MB, hashes checked: {folder}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
