"""The DVR: an append-only journal, the blobs it points into, and the index that is a fold of it.

In: fragments and decisions of one channel, in order, and completions of the writer. Out: presentations (frozen views of what is
published), assets (hard links that outlive the channel). Never: a socket, a clock, a task; the time is an argument.
"""
