"""Ours against the alternative, in turn, in one run.

    python scripts/bench.py startup                       all repeats; a minute or so
    python scripts/bench.py step --quick --json out.json  within 50 s; raw samples to a file
    python scripts/bench.py step --check                  exit status 1 when an aim is missed

A benchmark is one file in scripts/benchmarks: its docstring says what it measures, its `run(quick)` returns
comparisons; a file that starts with _ is shared by several. For figures worth quoting leave the machine alone
meanwhile: the load is printed.
"""

import argparse
import ast
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # the checkout's segtrain, installed or not

import benchmarks
from benchmarks import Comparison

from segtrain.openmp import spin_briefly
from segtrain.runs.environment import environment


def main() -> int:
    """Exit status: 1 when --check is given and an aim is missed, else 0."""
    arguments = parse(sys.argv[1:])
    spin_briefly()  # as a command, before torch is imported
    where = environment({"load": os.getloadavg()[0], "quick": arguments.quick})
    print(describe(where), flush=True)
    comparisons: list[Comparison] = importlib.import_module(f"benchmarks.{arguments.benchmark}").run(
        quick=arguments.quick
    )
    for comparison in comparisons:
        print(comparison.text())
    if arguments.json:
        content = {
            "benchmark": arguments.benchmark,
            "environment": where,
            "comparisons": [comparison.as_dict() for comparison in comparisons],
        }
        arguments.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    missed = [comparison.name for comparison in comparisons if not comparison.met]
    if arguments.check and missed:
        print(f"missed: {', '.join(missed)}")
        return 1
    return 0


def parse(arguments: list[str]) -> argparse.Namespace:
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--quick", action="store_true", help="fewer repeats: within 50 s on 2 cores")
    options.add_argument("--check", action="store_true", help="exit status 1 when an aim is missed")
    options.add_argument("--json", type=Path, metavar="FILE", help="write samples, medians and environment")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    choices = parser.add_subparsers(dest="benchmark", required=True)
    for file in sorted(Path(benchmarks.__path__[0]).glob("[!_]*.py")):
        doc = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""  # read, not imported: no torch
        choices.add_parser(
            file.stem,
            parents=[options],
            help=doc.splitlines()[0],
            description=doc,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    return parser.parse_args(arguments)


def describe(where: dict[str, Any]) -> str:
    packages = where["packages"]
    return (
        f"{where['cpu']}, {where['cpu_usable']} of {where['cpu_count']} cores, load {where['load']:.1f}; "
        f"Python {where['python']}, torch {packages.get('torch')}, lightning {packages.get('lightning')}, "
        f"hydra {packages.get('hydra-core')}"
    )


if __name__ == "__main__":
    sys.exit(main())
