# lxml ships no types. A test reads documents whose shape it asserts: what is not there fails the test where it is read.
from typing import Any

def __getattr__(name: str) -> Any: ...
