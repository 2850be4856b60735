"""Runs the tests and says on standard output how they ended: `python3 bindings/python/tests`."""

import sys
import unittest

unittest.main(module="test_client", testRunner=unittest.TextTestRunner(stream=sys.stdout, verbosity=2))
