"""Runs the tests and says on standard output how they ended: `python3 bindings/python/tests`."""

import sys
import unittest
from pathlib import Path

tests = unittest.defaultTestLoader.discover(str(Path(__file__).parent))
ended = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(tests)
sys.exit(not ended.wasSuccessful())
