"""Contract suites that ship with the package, for connectors here and elsewhere. They are written for pytest."""

import pkgutil

import pytest

pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)))
