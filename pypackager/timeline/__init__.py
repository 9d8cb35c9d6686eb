"""One order per track: source clocks, merging, the published edge, periods.

In: chunks with source times. Out: journal records and written fragments. Never: sockets, files, a clock of its own.
"""
