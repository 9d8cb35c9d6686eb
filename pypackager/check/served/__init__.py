"""How a presentation is served: what every answer said of itself, and a few more questions that caches and players would ask.

In: the exchanges of a walk, and an origin. Out: findings. Never: more than some forty requests for a presentation, or a retry.
"""
