"""`api.txt` has what the module offers; MEDIPEPS_WRITE_API=1 renews it."""

import inspect
import os
import unittest
from enum import Enum
from pathlib import Path

import medipeps

SNAPSHOT = Path(__file__).parent.parent / "api.txt"


def members(owner):
    """The lines of a class: its methods with their parameters, its variants, its fields."""
    for name, member in sorted(vars(owner).items()):
        if name.startswith("_") and name != "__init__":
            continue
        if isinstance(member, (staticmethod, classmethod)):
            member = member.__func__
        if inspect.isclass(member):
            yield f"  {name}"
            yield from (f"  {line}" for line in members(member))
        elif inspect.isfunction(member):
            parameters = [str(one).split(":")[0] for one in inspect.signature(member).parameters.values()]
            kind = "async " if inspect.iscoroutinefunction(member) else ""
            yield f"  {kind}{name}({', '.join(parameters)})"
        elif issubclass(owner, Enum) and isinstance(member, owner):
            yield f"  {name}"


def offered():
    lines = []
    for name in sorted(medipeps.__all__):
        thing = getattr(medipeps, name)
        if inspect.isclass(thing):
            lines += [f"class {name}", *members(thing)]
        elif inspect.isfunction(thing):
            lines.append(f"{name}({', '.join(inspect.signature(thing).parameters)})")
    return "".join(f"{line}\n" for line in lines)


class ApiTest(unittest.TestCase):
    def test_the_api_is_the_one_in_api_txt(self):
        if "MEDIPEPS_WRITE_API" in os.environ:
            SNAPSHOT.write_text(offered())
        self.assertEqual(SNAPSHOT.read_text().splitlines(), offered().splitlines())
