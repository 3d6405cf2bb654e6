"""Holds each line of a file against a JSON Schema (draft 2020-12): validate_lines.py SCHEMA LINES

Prints for each line, as a line of JSON, null or what is wrong with it.
"""

import json
import sys

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match


def main(schema_path, lines_path):
    with open(schema_path, encoding="utf-8") as file:
        schema = json.load(file)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    with open(lines_path, encoding="utf-8", newline="\n") as lines:
        for line in lines:
            fault = best_match(validator.iter_errors(json.loads(line)))
            print(json.dumps(fault and f"{fault.json_path}: {fault.message}"))


if __name__ == "__main__":
    main(*sys.argv[1:])
