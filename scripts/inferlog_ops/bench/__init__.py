"""
Runs the benchmarks of a checkout one after the other, and puts what they found on one page.

Each of them is a script in ``benchmarks/`` that can be run alone. Whatever it compares takes turns within its one run:
a shared machine has slow minutes, and only ratios within a run say something on it.
"""
