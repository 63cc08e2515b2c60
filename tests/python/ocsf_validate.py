"""Holds events against the schemas of the Open Cybersecurity Schema Framework.

Usage: ocsf_validate.py FILE

FILE has an event of class 6003 (API Activity) a line. The schemas come with the
package pydantic-ocsf, which is read as data alone: one of every version. An event
has to keep to that of the version it names and to all later ones: every attribute
known, of its type, one of its values where these are fixed, everything required
there, and one at least of each group of which one is required. It prints the
versions, one a line, and exits 0; otherwise it says what is wrong and exits 1.
"""

import importlib.metadata
import ipaddress
import json
import sys

CLASS = "api_activity"
# Up to 1.3.0 what all events have stands in files that the package does not have.
# In the next version it is in its place, and the same.
COMMON_FROM, COMMON = "1.4.0", ("classification", "occurrence")
NUMBERS = ("integer_t", "long_t", "timestamp_t", "port_t")


def version_of(name):
    return tuple(int(it) for it in name.split("."))


def schemas():
    """Each version with its schema."""
    for file in importlib.metadata.files("pydantic-ocsf"):
        if file.parts[:2] == ("ocsf", "schemas") and file.suffix == ".json":
            schema = json.loads(file.locate().read_text())
            yield schema["version"], schema


class Schema:
    def __init__(self, schema, common):
        self.schema = schema
        base = schema["events"]["base_event"]["attributes"]
        if any(it.startswith("includes/") for it in base["$include"]):
            schema["events"]["base_event"]["attributes"] = {**common, **base}
        self.dictionary = schema["dictionary"]["attributes"]
        self.types = schema["dictionary"]["types"]["attributes"]

    def described(self, kind, name):
        """The attributes of a class or an object with those that it inherits, and the
        groups of which one is required."""
        here = self.schema[kind][name]
        attributes, groups = {}, {}
        parent = here.get("extends")
        if parent in self.schema[kind] and parent != name:
            attributes, groups = self.described(kind, parent)
        for attribute, says in here.get("attributes", {}).items():
            # what is included belongs to profiles that the events don't use
            if attribute == "$include":
                continue
            before = attributes.get(attribute, {})
            values = {**before.get("enum", {}), **says.get("enum", {})}
            merged = {**before, **{k: v for k, v in says.items() if v is not None}}
            if values:
                merged["enum"] = values
            attributes[attribute] = merged
        return attributes, {**groups, **here.get("constraints", {})}

    def check(self, kind, name, value, path, faults):
        if not isinstance(value, dict):
            faults.append(f"{path} is no object")
            return
        attributes, groups = self.described(kind, name)
        for attribute, says in attributes.items():
            if says.get("requirement") == "required" and attribute not in value:
                faults.append(f"{path}.{attribute} is required")
        one_of = groups.get("at_least_one", [])
        if one_of and not any(it in value for it in one_of):
            faults.append(f"{path} has none of {one_of}")
        for attribute, it in value.items():
            where = f"{path}.{attribute}"
            if attribute not in attributes:
                faults.append(f"{where} is not known")
                continue
            says = {**self.dictionary[attribute], **attributes[attribute]}
            values = {**self.dictionary[attribute].get("enum", {}), **attributes[attribute].get("enum", {})}
            # of these three, the base has its own numbers alone: they are looked at below
            fixed = values and attribute not in ("category_uid", "class_uid", "type_uid")
            if fixed and str(it) not in values:
                faults.append(f"{where} is {it!r}, which is none of {sorted(values)}")
            self.check_type(says, it, where, faults)

    def check_type(self, says, value, path, faults):
        if says.get("is_array"):
            if not isinstance(value, list):
                faults.append(f"{path} is no list")
                return
            for at, it in enumerate(value):
                self.check_type({**says, "is_array": False}, it, f"{path}[{at}]", faults)
            return
        kind = says["type"]
        if kind in ("object", "object_t") and "object_type" not in says:
            right = isinstance(value, dict)
        elif kind in self.schema["objects"] or "object_type" in says:
            self.check("objects", says.get("object_type", kind), value, path, faults)
            return
        elif kind == "json_t":
            right = True
        elif kind == "boolean_t":
            right = isinstance(value, bool)
        elif kind in NUMBERS or self.types.get(kind, {}).get("type") in NUMBERS:
            right = isinstance(value, int) and not isinstance(value, bool)
        elif kind == "ip_t":
            right = isinstance(value, str) and bool(ipaddress.ip_address(value))
        elif kind in self.types:
            right = isinstance(value, str)
        else:
            raise AssertionError(f"{path}: the type {kind} is not known here")
        if not right:
            faults.append(f"{path} is {value!r}, which is no {kind}")


def main():
    (path,) = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        events = [json.loads(it) for it in file]
    if len(events) < 100:
        sys.exit("too few events to say anything")
    faults, versions, every = [], [], dict(schemas())
    common = every[COMMON_FROM]["events"]["base_event"]["attributes"].items()
    common = {name: says for name, says in common if name[0] != "$" and says["group"] in COMMON}
    for version in sorted(every, key=version_of):
        schema = Schema(every[version], common)
        number = 1000 * schema.schema["categories_meta"]["attributes"]["application"]["uid"]
        number += schema.schema["events"][CLASS]["uid"]
        for event in events:
            if version_of(version) < version_of(event["metadata"]["version"]):
                continue
            if not versions or versions[-1] != version:
                versions.append(version)
            found = []
            schema.check("events", CLASS, event, "event", found)
            if event["class_uid"] != number or event["type_uid"] != 100 * number + event["activity_id"]:
                found.append("the numbers are not those of the class")
            if not 1577836800000 < event["time"] < 4102444800000:
                found.append("the time is not in milliseconds")
            faults += [f"{version}: {it}" for it in found]
    if faults:
        sys.exit("\n".join(sorted(set(faults))))
    print("\n".join(versions))


if __name__ == "__main__":
    main()
