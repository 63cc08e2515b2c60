"""Checks a trail with nothing of keygate's: from RFC 6962, the notes that C2SP
describes, and the tables of the database alone.

usage: verify_trail.py TRAIL.db PUBLIC-KEY CHECKPOINTS [RECEIPT...]

Prints one line for each thing that was checked, and "wrong: ..." for each that is
not as it should be; ends with 1 if there is any.
"""

import base64
import hashlib
import json
import sqlite3
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def leaf_hash(record):
    return hashlib.sha256(b"\x00" + record).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def split(size):
    """The largest power of two below the size."""
    return 1 << ((size - 1).bit_length() - 1)


def tree_hash(leaves):
    """RFC 6962, section 2.1, to the letter."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    middle = split(len(leaves))
    return node_hash(tree_hash(leaves[:middle]), tree_hash(leaves[middle:]))


def audit_path(index, leaves):
    """RFC 6962, section 2.1.1, to the letter."""
    if len(leaves) == 1:
        return []
    middle = split(len(leaves))
    left, right = leaves[:middle], leaves[middle:]
    if index < middle:
        return audit_path(index, left) + [tree_hash(right)]
    return audit_path(index - middle, right) + [tree_hash(left)]


class Key:
    def __init__(self, text):
        self.name, self.id, key = text.strip().split("+", 2)
        key = base64.b64decode(key, validate=True)
        expected = hashlib.sha256(self.name.encode() + b"\n" + key).digest()[:4]
        if key[0] != 1 or expected.hex() != self.id:
            raise ValueError("not an Ed25519 key of this name")
        self.key = Ed25519PublicKey.from_public_bytes(key[1:])

    def open(self, note):
        """The origin, the size and the root that a signed checkpoint tells."""
        text, signatures = note.rsplit("\n\n", 1)
        text += "\n"
        for line in signatures.splitlines():
            dash, name, signature = line.split(" ")
            signature = base64.b64decode(signature, validate=True)
            if dash == "—" and name == self.name and signature[:4].hex() == self.id:
                self.key.verify(signature[4:], text.encode())
                origin, size, root = text.splitlines()[:3]
                return origin, int(size), base64.b64decode(root, validate=True)
        raise ValueError("not signed by this key")


class Check:
    def __init__(self, key):
        self.key = key
        self.wrong = 0

    def complain(self, what):
        self.wrong += 1
        print("wrong:", what)

    def records(self, path):
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        rows = database.execute("SELECT position, leaf, body FROM records ORDER BY position")
        leaves = []
        for expected, (position, leaf, body) in enumerate(rows):
            if position != expected:
                self.complain(f"record {expected} is missing")
                break
            if body is not None:
                if leaf_hash(body) != leaf:
                    self.complain(f"record {position} is not what its hash was made of")
                leaf = leaf_hash(body)
                json.loads(body)
            leaves.append(leaf)
        print(f"records: {len(leaves)}, root {base64.b64encode(tree_hash(leaves)).decode()}")
        kept = [note for (note,) in database.execute("SELECT note FROM checkpoints")]
        return leaves, kept

    def checkpoint(self, note, leaves):
        try:
            origin, size, root = self.key.open(note)
        except (ValueError, InvalidSignature) as fault:
            return self.complain(f"a checkpoint: {fault!r}")
        if size > len(leaves):
            return self.complain(f"a checkpoint has {size} records, the trail {len(leaves)}")
        if origin != self.key.name or tree_hash(leaves[:size]) != root:
            self.complain(f"the checkpoint of {size} records has another root")

    def receipt(self, text, leaves):
        head, note = text.split("\n\n", 1)
        lines = head.split("\n")
        if lines[0] != "c2sp.org/tlog-proof@v1" or not lines[1].startswith("extra "):
            return self.complain("a receipt has another form")
        index = int(lines[2].removeprefix("index "))
        path = [base64.b64decode(it, validate=True) for it in lines[3:]]
        _, size, root = self.key.open(note)
        if size > len(leaves) or index >= size:
            return self.complain(f"the receipt for record {index} is of a larger tree")
        if path != audit_path(index, leaves[:size]) or root != tree_hash(leaves[:size]):
            self.complain(f"the receipt for record {index} does not prove it")


def notes(text):
    """Signed notes one after another: each ends with its signature."""
    note = ""
    for line in text.splitlines(keepends=True):
        if not note and line == "\n":
            continue
        note += line
        if line.startswith("— "):
            yield note
            note = ""


def main(trail, key, checkpoints, *receipts):
    with open(key, encoding="utf-8") as file:
        check = Check(Key(file.read()))
    leaves, kept = check.records(trail)
    with open(checkpoints, encoding="utf-8") as file:
        given = list(notes(file.read()))
    for note in given + kept:
        check.checkpoint(note, leaves)
    print(f"checkpoints: {len(given)} given, {len(kept)} kept")
    for path in receipts:
        with open(path, encoding="utf-8") as file:
            check.receipt(file.read(), leaves)
    print(f"receipts: {len(receipts)}")
    return 1 if check.wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
