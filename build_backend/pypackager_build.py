"""PEP 517 backend of pypackager: compiles the Cython index in place, then lets maturin do the rest.

In: the hooks that a front end such as pip calls. Out: a wheel, an editable wheel or a source archive with both extensions.
It never decides versions or metadata; those are maturin's, read from pyproject.toml.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import maturin

_ROOT = Path(__file__).resolve().parent.parent
_EXTENSIONS = {"pypackager.dvr.index": "pypackager/dvr/index.pyx"}

Config = dict[str, Any] | None

get_requires_for_build_wheel = maturin.get_requires_for_build_wheel
get_requires_for_build_editable = maturin.get_requires_for_build_editable
get_requires_for_build_sdist = maturin.get_requires_for_build_sdist
prepare_metadata_for_build_wheel = maturin.prepare_metadata_for_build_wheel
prepare_metadata_for_build_editable = maturin.prepare_metadata_for_build_editable
build_sdist = maturin.build_sdist


def build_wheel(wheel_directory: str, config_settings: Config = None, metadata_directory: str | None = None) -> str:
    """Builds a wheel for the running interpreter (PEP 517)."""
    build_extensions()
    return str(maturin.build_wheel(wheel_directory, config_settings, metadata_directory))


def build_editable(wheel_directory: str, config_settings: Config = None, metadata_directory: str | None = None) -> str:
    """Builds an editable wheel (PEP 660)."""
    build_extensions()
    return str(maturin.build_editable(wheel_directory, config_settings, metadata_directory))


def build_extensions() -> None:
    """Compiles each Cython module next to its source; what is up to date is left alone."""
    # Only here: a source archive needs neither a C compiler nor NumPy.
    import numpy as np
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    extensions = [
        Extension(name, [source], include_dirs=[np.get_include()], define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")])
        for name, source in _EXTENSIONS.items()
        if (_ROOT / source).exists()
    ]
    if not extensions:
        return
    compiled: list[Any] = cythonize(extensions, compiler_directives={"language_level": "3", "embedsignature": True})
    distribution = Distribution({"name": "pypackager", "ext_modules": compiled})
    command = build_ext(distribution)
    command.inplace = True
    command.build_temp = str(_ROOT / "build" / "cython")
    command.ensure_finalized()
    command.run()
