"""
Breaks the pipeline on purpose, on real processes, and counts what became of every line.

``scenario`` is the course of one: load, fault, catching up, count. ``faults`` says what goes wrong, ``evidence`` reads
what is on the disk and in the store, ``promises`` says what must hold between the two.
"""
