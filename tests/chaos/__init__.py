"""
Fault injection on real processes, with an account of every line.

``scenario`` runs one trial: load, fault, catching up, count. ``faults`` breaks processes, disks and responses,
``evidence`` reads the disk and the store, and ``invariants`` compares the two.
"""
