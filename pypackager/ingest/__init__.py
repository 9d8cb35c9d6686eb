"""The way in: listeners, admission and routing of encoders' connections.

In: accepted sockets and the pump's events. Out: tracks and chunks for the timeline. Never: a media byte in Python.
"""
