"""Channels over several processes (docs/design/workers.md).

`link`, `words` and `shelf` are between them; `crew`, `places`, `reports`, `post` and `running` in the front process; `process`,
`worker` and `serving` at the other end.

In: what the registry says. Out: a fleet whose channels are elsewhere. Never: imported by a daemon whose channels are all its own.
"""
