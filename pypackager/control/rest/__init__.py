"""The REST API: resources and commands over HTTP, as an ASGI application.

In: requests. Out: answers in JSON, faults as RFC 9457 problem details with a stable code. Never: a decision; these are the desk's.

Litestar is loaded when the first request comes (docs/design/control.md): import `app` from a thread.
"""
