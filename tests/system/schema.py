"""As much of JSON Schema 2020-12 as the site's own description uses: does a
value fit, and what would fit, or not."""

import base64
import json
import random
import re

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -_."
ODD = "äöüß€漢字🔑‮\"\\'<>&%;=/?#{}[]()*+,:|~`^!@$"


class Misfit(Exception):
    """A value does not fit its schema."""


class Schemas:
    def __init__(self, document):
        self.document = document

    def resolve(self, schema):
        while "$ref" in schema:
            at = self.document
            for step in schema["$ref"].lstrip("#/").split("/"):
                at = at[step]
            schema = at
        return schema

    # --- does it fit -------------------------------------------------------

    def check(self, value, schema, where="$"):
        schema = self.resolve(schema)
        for part in schema.get("allOf", ()):
            self.check(value, part, where)
        if "anyOf" in schema:
            for part in schema["anyOf"]:
                try:
                    self.check(value, part, where)
                    break
                except Misfit:
                    continue
            else:
                raise Misfit("%s: %r fits none" % (where, value))
        self.check_type(value, schema.get("type"), where)
        if "enum" in schema and value not in schema["enum"]:
            raise Misfit("%s: %r is not one of %s" % (where, value,
                                                      schema["enum"]))
        if isinstance(value, bool):
            return
        if isinstance(value, (int, float)):
            if value < schema.get("minimum", value) or \
                    value > schema.get("maximum", value):
                raise Misfit("%s: %r is out of bounds" % (where, value))
        elif isinstance(value, str):
            self.check_text(value, schema, where)
        elif isinstance(value, list):
            self.check_list(value, schema, where)
        elif isinstance(value, dict):
            self.check_object(value, schema, where)

    @staticmethod
    def check_type(value, name, where):
        kinds = {"object": dict, "array": list, "string": str,
                 "boolean": bool, "integer": int, "number": (int, float)}
        if name is None:
            return
        if not isinstance(value, kinds[name]) or \
                (isinstance(value, bool) and name != "boolean"):
            raise Misfit("%s: %r is no %s" % (where, value, name))

    @staticmethod
    def check_text(value, schema, where):
        if not schema.get("minLength", 0) <= len(value) <= \
                schema.get("maxLength", len(value)):
            raise Misfit("%s: %r is too short or too long" % (where, value))
        if "pattern" in schema and not re.search(schema["pattern"], value):
            raise Misfit("%s: %r does not look like %s"
                         % (where, value, schema["pattern"]))
        if len(value.encode()) > schema.get("x-maxBytes", 1 << 30):
            raise Misfit("%s: %r has too many bytes" % (where, value))
        looks = {"date-time": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$",
                 "date": r"^\d{4}-\d\d-\d\d$"}.get(schema.get("format"))
        if looks and not re.search(looks, value):
            raise Misfit("%s: %r is no %s" % (where, value, schema["format"]))

    def check_list(self, value, schema, where):
        if not schema.get("minItems", 0) <= len(value) <= \
                schema.get("maxItems", len(value)):
            raise Misfit("%s: %d items" % (where, len(value)))
        for i, item in enumerate(value):
            self.check(item, schema.get("items", {}), "%s[%d]" % (where, i))

    def check_object(self, value, schema, where):
        properties = schema.get("properties", {})
        for name in schema.get("required", ()):
            if name not in value:
                raise Misfit("%s: %s is missing" % (where, name))
        for name, member in value.items():
            if name in properties:
                self.check(member, properties[name], where + "." + name)
            elif schema.get("additionalProperties") is False:
                raise Misfit("%s: %s is not known" % (where, name))

    # --- what fits ---------------------------------------------------------

    def make(self, rng, schema, depth=0):
        schema = self.resolve(schema)
        if "anyOf" in schema:
            return self.make(rng, rng.choice(schema["anyOf"]), depth)
        if "enum" in schema:
            return rng.choice(schema["enum"])
        kind = schema.get("type")
        if kind == "object":
            required = schema.get("required", ())
            return {name: self.make(rng, member, depth + 1)
                    for name, member in schema.get("properties", {}).items()
                    if name in required or rng.random() < 0.4}
        if kind == "array":
            low = schema.get("minItems", 0)
            n = min(max(low, rng.choice((0, 1, 1, 2, 3))),
                    schema.get("maxItems", 3))
            return [self.make(rng, schema["items"], depth + 1)
                    for _ in range(n)]
        if kind == "boolean":
            return rng.random() < 0.5
        if kind == "integer":
            low, high = schema.get("minimum", 0), schema.get("maximum", 99)
            return min(max(rng.choice((low, high, 1, 2, 3,
                                       rng.randint(low, high))), low), high)
        if kind == "number":
            return rng.choice((0, 1, 12.5, 99.99, 1000))
        return self.make_text(rng, schema)

    @staticmethod
    def make_text(rng, schema):
        form = schema.get("format")
        if form == "date-time":
            return "20%02d-%02d-%02dT%02d:%02d:%02dZ" % (
                rng.randint(0, 99), rng.randint(1, 12), rng.randint(1, 28),
                rng.randint(0, 23), rng.randint(0, 59), rng.randint(0, 59))
        if form == "date":
            return "20%02d-%02d-%02d" % (rng.randint(0, 99),
                                         rng.randint(1, 12),
                                         rng.randint(1, 28))
        low = schema.get("minLength", 0)
        high = schema.get("maxLength", 40)
        if schema.get("contentEncoding") == "base64url":
            n = low if low == high else rng.randint(low, min(high, low + 60))
            data = rng.randbytes(n * 3 // 4 if n % 4 != 1 else n * 3 // 4 + 1)
            return base64.urlsafe_b64encode(data).decode().rstrip("=")
        prefix = re.match(r"^\^([a-z_]+-)\[1-9\]", schema.get("pattern", ""))
        if prefix:
            return prefix.group(1) + str(rng.randint(1, 9))
        n = rng.choice((low, min(high, low + 3), min(high, low + 20),
                        min(high, 200) if rng.random() < 0.1 else low + 1))
        n = min(max(n, 1 if low else 0), high)
        pool = LETTERS if rng.random() < 0.7 else LETTERS + ODD
        text = "".join(rng.choice(pool) for _ in range(n))
        while len(text.encode()) > schema.get("x-maxBytes", 1 << 30):
            text = text[:-1]
        if "‮" in text and rng.random() < 0.5:
            text = text.replace("‮", "x")
        return text if len(text) >= low else text.ljust(low, "x")

    # --- what does not -----------------------------------------------------

    def spoil(self, rng, value, schema):
        """A value that no reader of this schema may take."""
        schema = self.resolve(schema)
        if not isinstance(value, dict) or rng.random() < 0.15:
            return rng.choice(([], "text", 7, None, True, [value], [[[]]]))
        value = json.loads(json.dumps(value))
        properties = schema.get("properties", {})
        way = rng.choice(("unknown", "missing", "member", "member", "member"))
        required = [name for name in schema.get("required", ())
                    if name in value]
        if way == "missing" and required:
            del value[rng.choice(required)]
            return value
        if way == "member" and properties:
            name = rng.choice(list(properties))
            wrong = self.spoil_leaf(rng, self.make(rng, properties[name]),
                                    properties[name])
            # null says absent, of what may be absent.
            if wrong is not None or name in schema.get("required", ()):
                value[name] = wrong
                return value
        value["".join(rng.choice(LETTERS + ODD) for _ in range(6))] = 1
        return value

    def spoil_leaf(self, rng, value, schema):
        schema = self.resolve(schema)
        kind = schema.get("type")
        if kind == "object":
            return self.spoil(rng, value, schema)
        wrong = {"integer": (-1, 1.5, "7", None, True, [], {}, 1 << 70,
                             schema.get("maximum", 0) + 1),
                 "number": (-1, "7", None, True, [], {}),
                 "string": (7, None, True, [], {}, "\0", "\x1b[2J",
                            "x" * (schema.get("maxLength", 1 << 16) + 1)),
                 "boolean": (0, 1, "true", None, [], {}),
                 "array": (7, "x", None, {}, [None] * 3)}
        if schema.get("minimum", 0) < 0 and kind == "integer":
            return rng.choice(("7", None, True))
        return rng.choice(wrong.get(kind, (None,)))


def seed_of(environ):
    return int(environ.get("SEED") or random.SystemRandom().randrange(1 << 32))
