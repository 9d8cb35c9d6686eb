"""The data that stages hand to each other: frozen Structs and nothing else.

In: nothing of ours. Out: tracks, journal records, presentations, plans, errors. Never: I/O, a clock, a decision.
"""
